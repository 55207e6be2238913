"""Gauss-Newton on landmarks: pose and expression per frame, identity and focal length for all frames at once.

Every frame has a small dense system of its own; what the frames share enters through its Schur complement, so the cost
of one iteration is linear in the number of frames and the minimum is that of the joint problem (bundle adjustment).
A few iterations replace the thousands of Adam steps of AD-NeRF's tracker (data_util/face_tracking/face_tracker.py,
phases A and B), and no learning rate has to suit the size of the picture.

Minimised, with r in units of sigma times the face's size in the frame (`points.face_size`):

    sum_tl w_l rho(|r_tl|) + w_e sum_t |e_t - e_0|^2 + w_i T / N |i|^2 + smoothness of pose and expression

rho is Cauchy's; smoothness pulls x_t towards the mean of its neighbours, which are held during an iteration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lipbench.faces.morphable import MorphableModel
from lipbench.lipnerf.fitting import rotations
from lipbench.lipnerf.fitting.points import Points

CHUNK = 256  # frames whose Jacobians are held at once
ROBUST = 3.0  # sigmas beyond which a point counts less and less
POSE = 6


@dataclass(frozen=True)
class State:
    """Parameters of T frames. identity (K_id,), expression (T, K_exp), rotation (T, 3, 3), translation (T, 3) dm,
    focal () px."""

    identity: Tensor
    expression: Tensor
    rotation: Tensor
    translation: Tensor
    focal: Tensor


@dataclass(frozen=True)
class Weights:
    """Precisions.

    Attributes:
        sigma: expected landmark error as a share of the face's size.
        expression, identity: of the priors, per squared standard deviation.
        frames: N above: how many frames' worth of independent evidence a clip holds about the identity.
        smooth_expression: per squared standard deviation. smooth_rotation: per squared radian. smooth_translation: per
            squared dm.
        focal: per squared natural logarithm, pulling towards the focal length at the start.
    """

    sigma: float = 0.015
    expression: float = 1.0
    identity: float = 1.0
    frames: float = 20.0
    smooth_expression: float = 1.0
    smooth_rotation: float = 2e4
    smooth_translation: float = 5e3
    focal: float = 50.0


@dataclass(frozen=True)
class Free:
    """What a solve may change."""

    pose: bool = True
    expression: bool = True
    identity: bool = False
    focal: bool = False


class LandmarkProblem:
    """The landmarks of a clip and the model's vertices behind them.

    Args:
        seen: (T, L, 2) px. size: (T,) px, `points.face_size`. center: (cx, cy) px.
        next_to: (T,) bool, frame t follows frame t - 1 without a gap.
        expression_mean: (K_exp,) where the expression's prior lies; zero when None.
    """

    def __init__(
        self,
        model: MorphableModel,
        points: Points,
        seen: Tensor,
        size: Tensor,
        center: tuple[float, float],
        next_to: Tensor,
        weights: Weights,
        expression_mean: Tensor | None = None,
    ) -> None:
        at, device = points.vertices, seen.device

        def tensor(x: object) -> Tensor:
            return torch.as_tensor(x, dtype=torch.float64, device=device)

        self.mean = tensor(model.mean[at])  # (U, 3)
        self.identity_basis = tensor(model.identity_basis[:, at] * model.identity_sigma[:, None, None])  # (K, U, 3)
        self.expression_basis = tensor(model.expression_basis[:, at] * model.expression_sigma[:, None, None])
        self.at = torch.as_tensor(points.at, device=device)
        self.sliding = torch.as_tensor(points.sliding, device=device)
        self.candidates = torch.as_tensor(points.candidates, device=device)
        self.side = tensor(points.side)
        self.weight = tensor(points.weight)
        self.seen, self.center, self.weights = seen.double(), center, weights
        self.scale = weights.sigma * size.double()
        self.next_to = next_to.to(device)
        self.expression_mean = tensor(
            torch.zeros(model.n_expression) if expression_mean is None else expression_mean.cpu()
        )

    def subset(self, frames: Tensor) -> LandmarkProblem:
        """The problem of some frames, far enough apart not to know their neighbours."""
        out = object.__new__(LandmarkProblem)
        out.__dict__.update(self.__dict__)
        out.seen, out.scale = self.seen[frames], self.scale[frames]
        out.next_to = torch.zeros(len(frames), dtype=torch.bool, device=self.seen.device)
        return out

    def shapes(self, state: State) -> Tensor:
        """(T, U, 3) model-space vertices."""
        neutral = self.mean + torch.tensordot(state.identity, self.identity_basis, 1)
        moved = state.expression @ self.expression_basis.flatten(1)
        return neutral + moved.unflatten(-1, (-1, 3))

    def pick(self, state: State, shapes: Tensor) -> Tensor:
        """(T, L) the vertices behind the points: those of the jaw line follow the visible contour."""
        index = self.at.expand(len(shapes), -1).clone()
        if len(self.sliding):
            rows = shapes[:, self.candidates]  # (T, J, K, 3)
            camera = torch.einsum("tij,tmkj->tmki", state.rotation, rows) + state.translation[:, None, None]
            outward = self.side[:, None] * camera[..., 0] / -camera[..., 2]
            best = outward.argmax(-1)  # (T, J)
            index[:, self.sliding] = self.candidates.expand(len(shapes), -1, -1).gather(2, best[..., None])[..., 0]
        return index

    def project(self, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """(T, L, 2) px, (T, L, 3) camera-space points and the (T, L) vertices behind them."""
        shapes = self.shapes(state)
        index = self.pick(state, shapes)
        body = shapes.gather(1, index[..., None].expand(-1, -1, 3))
        x = torch.einsum("tij,tlj->tli", state.rotation, body) + state.translation[:, None]
        cx, cy = self.center
        uv = torch.stack([-state.focal * x[..., 0] / x[..., 2] + cx, state.focal * x[..., 1] / x[..., 2] + cy], -1)
        return uv, x, index

    def error_px(self, state: State) -> Tensor:
        """(T,) mean distance of the weighted points in px."""
        distance = (self.project(state)[0] - self.seen).norm(dim=-1)
        return (distance * self.weight).sum(1) / self.weight.sum()

    def cost(self, state: State) -> tuple[Tensor, Tensor]:
        """() the whole sum, and (T,) each frame's share of it without what the frames have in common."""
        w = self.weights
        r = (self.project(state)[0] - self.seen) / self.scale[:, None, None]
        q = r.pow(2).sum(-1) / ROBUST**2
        frame = (self.weight * ROBUST**2 * torch.log1p(q)).sum(1)
        frame = frame + w.expression * (state.expression - self.expression_mean).pow(2).sum(1)
        for value, weight in self._rough(state):
            frame = frame + weight * value.pow(2).sum(1)
        total = frame.sum() + w.identity * len(frame) / w.frames * state.identity.pow(2).sum()
        return total, frame

    def _rough(self, state: State) -> list[tuple[Tensor, float]]:
        """Differences to the mean of the neighbours: rotation (T, 3), translation (T, 3), expression (T, K)."""
        w = self.weights
        before, after, known = self._neighbours()
        turn = rotations.log(state.rotation[before] @ state.rotation.mT)
        turn = (turn + rotations.log(state.rotation[after] @ state.rotation.mT)) / 2

        def bend(x: Tensor) -> Tensor:
            return known * (x - (x[before] + x[after]) / 2)

        return [
            (-known * turn, w.smooth_rotation),
            (bend(state.translation), w.smooth_translation),
            (bend(state.expression), w.smooth_expression),
        ]

    def _neighbours(self) -> tuple[Tensor, Tensor, Tensor]:
        n = len(self.next_to)
        t = torch.arange(n, device=self.next_to.device)
        last = torch.cat([self.next_to[1:], self.next_to.new_zeros(1)])
        both = (self.next_to & last)[:, None].double()
        return (t - 1).clamp_min(0), (t + 1).clamp_max(n - 1), both

    def solve(self, state: State, free: Free, iterations: int, tolerance: float = 1e-4) -> State:
        """The best state of at most `iterations` damped Gauss-Newton steps from `state`."""
        damping, start = 1e-3, state.focal
        best, cost = state, self._with_focal(state, start)
        for _ in range(iterations):
            candidate = self._step(best, free, damping, start)
            new = self._with_focal(candidate, start)
            if torch.isfinite(new) and new < cost:
                done = (cost - new) < tolerance * cost
                best, cost, damping = candidate, new, max(damping / 5, 1e-6)
                if done:
                    break
            else:
                damping *= 10
                if damping > 1e3:
                    break
        return best

    def _with_focal(self, state: State, start: Tensor) -> Tensor:
        return self.cost(state)[0] + self.weights.focal * len(self.seen) * torch.log(state.focal / start) ** 2

    def _step(self, state: State, free: Free, damping: float, start: Tensor) -> State:
        w, n = self.weights, len(self.seen)
        rough = self._rough(state)
        n_pose, n_exp = POSE * free.pose, state.expression.shape[1] * free.expression
        n_id = len(state.identity) * free.identity
        n_shared = n_id + free.focal
        local = state.expression.new_zeros(n, n_pose + n_exp)
        s = state.expression.new_zeros(n_shared, n_shared)  # Schur complement
        right = state.expression.new_zeros(n_shared)
        back = []
        for start_at in range(0, n, CHUNK):
            part = slice(start_at, min(start_at + CHUNK, n))
            a, b, c, g, h = self._normal(state, part, free)
            diagonal = a.diagonal(dim1=1, dim2=2)  # a view
            if free.pose:
                for k, (value, weight) in enumerate(rough[:2]):
                    known = self._neighbours()[2][part]
                    diagonal[:, 3 * k : 3 * k + 3] += weight * known
                    sign = 1.0
                    g[:, 3 * k : 3 * k + 3] += sign * weight * value[part]
            if free.expression:
                known = self._neighbours()[2][part]
                diagonal[:, n_pose:] += w.expression + w.smooth_expression * known
                g[:, n_pose:] += w.expression * (state.expression[part] - self.expression_mean)
                g[:, n_pose:] += w.smooth_expression * rough[2][0][part]
            diagonal *= 1 + damping
            factor = torch.linalg.cholesky(a)
            solved = torch.cholesky_solve(torch.cat([g[..., None], b], 2), factor)  # (t, P, 1 + S)
            back.append((part, solved))
            s += c - torch.einsum("tps,tpr->sr", b, solved[..., 1:])
            right += h - torch.einsum("tps,tp->s", b, solved[..., 0])
        shared = right.new_zeros(n_shared)
        if n_shared:
            prior = right.new_zeros(n_shared)
            prior[:n_id] = w.identity * n / w.frames
            pull = torch.zeros_like(prior)
            if free.identity:
                pull[:n_id] = prior[:n_id] * state.identity
            if free.focal:
                prior[n_id] = w.focal * n
                pull[n_id] = w.focal * n * torch.log(state.focal / start)
            diagonal = s.diagonal()
            diagonal += prior
            diagonal *= 1 + damping
            shared = -torch.linalg.solve(s, right + pull)
        for part, solved in back:
            local[part] = -solved[..., 0] - solved[..., 1:] @ shared
        out = state
        if free.pose:
            out = replace(
                out,
                rotation=rotations.exp(local[:, :3]) @ state.rotation,
                translation=state.translation + local[:, 3:6],
            )
        if free.expression:
            out = replace(out, expression=state.expression + local[:, n_pose:])
        if free.identity:
            out = replace(out, identity=state.identity + shared[:n_id])
        if free.focal:
            out = replace(out, focal=state.focal * torch.exp(shared[n_id].clamp(-0.2, 0.2)))
        return out

    def _normal(self, state: State, part: slice, free: Free) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Normal equations of some frames: A (t, P, P), B (t, P, S), C (S, S), and the right sides (t, P), (S,)."""
        some = replace(
            state,
            expression=state.expression[part],
            rotation=state.rotation[part],
            translation=state.translation[part],
        )
        uv, x, index = self.project(some)
        r = (uv - self.seen[part]) / self.scale[part][:, None, None]
        w = self.weight / (1 + r.pow(2).sum(-1) / ROBUST**2)  # (t, L), Cauchy's weights
        root = w.sqrt()[..., None] / self.scale[part][:, None, None]
        f, z = state.focal, x[..., 2]
        zero = torch.zeros_like(z)
        d = torch.stack([-f / z, zero, f * x[..., 0] / z**2, zero, f / z, -f * x[..., 1] / z**2], -1)
        d = d.unflatten(-1, (2, 3)) * root[..., None]  # (t, L, 2, 3) d(residual) / d(camera point)
        blocks = []
        if free.pose:
            turn = -rotations.skew(x - some.translation[:, None])
            blocks += [d @ turn, d]
        model = d @ some.rotation[:, None]  # (t, L, 2, 3) by model space
        if free.expression:
            blocks.append(torch.einsum("tlij,tlkj->tlik", model, self.expression_basis.transpose(0, 1)[index]))
        j = torch.cat(blocks, -1).flatten(1, 2)  # (t, 2L, P)
        e = (r * self.scale[part][:, None, None] * root).flatten(1)  # (t, 2L)
        shared = []
        if free.identity:
            shared.append(torch.einsum("tlij,tlkj->tlik", model, self.identity_basis.transpose(0, 1)[index]))
        if free.focal:
            cx, cy = self.center
            ray = uv - torch.tensor([cx, cy], dtype=uv.dtype, device=uv.device)
            shared.append((ray * root)[..., None])  # d(uv) / d(log f) = uv - centre
        m = torch.cat(shared, -1).flatten(1, 2) if shared else j.new_zeros(*j.shape[:2], 0)
        a = j.mT @ j
        b = j.mT @ m
        c = torch.einsum("tns,tnr->sr", m, m)
        g = torch.einsum("tnp,tn->tp", j, e)
        h = torch.einsum("tns,tn->s", m, e)
        return a, b, c, g, h
