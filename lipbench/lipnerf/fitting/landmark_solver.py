"""Gauss-Newton on landmarks: pose and expression per frame, identity and focal length for all frames at once.

Every frame has a small dense system of its own; what the frames share enters through its Schur complement, so the cost
of one iteration is linear in the number of frames and the minimum is that of the joint problem (bundle adjustment).
A few iterations replace the thousands of Adam steps of AD-NeRF's tracker (data_util/face_tracking/face_tracker.py,
phases A and B), and no learning rate has to suit the size of the image.

Minimized, with r in units of sigma times the face's size in the frame (`points.face_size`):

    sum_tl w_l rho(|r_tl|) + w_e sum_t |e_t - e_0|^2 + w_i T / N |i|^2 + smoothness of pose and expression

rho is Cauchy's; smoothness is the squared difference to the mean of the neighbors in time.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from lipbench.faces.morphable import MorphableModel
from lipbench.lipnerf.fitting.photo_term import PhotoTerm
from lipbench.lipnerf.fitting.points import Points
from lipbench.lipnerf.fitting.state import POSE, FitState, Free, Weights, exp_rotation, skew
from lipbench.lipnerf.fitting.temporal import Smoothness

CHUNK = 256  # frames whose Jacobians are held at once
ROBUST = 3.0  # sigmas beyond which a point counts less and less


class LandmarkProblem:
    """The landmarks of a clip and the model's vertices behind them.

    Args:
        seen: (T, L, 2) px.
        size: (T,) px, `points.face_size`.
        center: (cx, cy) px.
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
        self.bend = Smoothness(next_to.to(device), weights)
        self.focal_guess = weights.focal_guess * 2 * min(center)
        self.photo: PhotoTerm | None = None
        self.expression_mean = tensor(
            torch.zeros(model.n_expression) if expression_mean is None else expression_mean.cpu()
        )

    def subset(self, frames: Tensor) -> LandmarkProblem:
        """The problem of some frames, far enough apart not to know their neighbors."""
        out = object.__new__(LandmarkProblem)
        out.__dict__.update(self.__dict__)
        out.photo = None
        out.seen, out.scale = self.seen[frames], self.scale[frames]
        out.bend = Smoothness(torch.zeros(len(frames), dtype=torch.bool, device=self.seen.device), self.weights)
        return out

    def shapes(self, state: FitState) -> Tensor:
        """(T, U, 3) model-space vertices."""
        neutral = self.mean + torch.tensordot(state.identity, self.identity_basis, 1)
        moved = state.expression @ self.expression_basis.flatten(1)
        return neutral + moved.unflatten(-1, (-1, 3))

    def pick(self, state: FitState, shapes: Tensor) -> Tensor:
        """(T, L) the vertices behind the points: those of the jaw line follow the visible contour."""
        index = self.at.expand(len(shapes), -1).clone()
        if len(self.sliding):
            rows = shapes[:, self.candidates]  # (T, J, K, 3)
            camera = torch.einsum("tij,tmkj->tmki", state.rotation, rows) + state.translation[:, None, None]
            outward = self.side[:, None] * camera[..., 0] / -camera[..., 2]
            best = outward.argmax(-1)  # (T, J)
            index[:, self.sliding] = self.candidates.expand(len(shapes), -1, -1).gather(2, best[..., None])[..., 0]
        return index

    def project(self, state: FitState) -> tuple[Tensor, Tensor, Tensor]:
        """(T, L, 2) px, (T, L, 3) camera-space points and the (T, L) vertices behind them."""
        shapes = self.shapes(state)
        index = self.pick(state, shapes)
        body = shapes.gather(1, index[..., None].expand(-1, -1, 3))
        x = torch.einsum("tij,tlj->tli", state.rotation, body) + state.translation[:, None]
        cx, cy = self.center
        uv = torch.stack([-state.focal * x[..., 0] / x[..., 2] + cx, state.focal * x[..., 1] / x[..., 2] + cy], -1)
        return uv, x, index

    def error_px(self, state: FitState) -> Tensor:
        """(T,) mean distance of the weighted points in px."""
        distance = (self.project(state)[0] - self.seen).norm(dim=-1)
        return (distance * self.weight).sum(1) / self.weight.sum()

    def cost(self, state: FitState) -> Tensor:
        """() what is minimized."""
        w = self.weights
        r = (self.project(state)[0] - self.seen) / self.scale[:, None, None]
        q = r.pow(2).sum(-1) / ROBUST**2
        total = (self.weight * ROBUST**2 * torch.log1p(q)).sum()
        total = total + w.expression * (state.expression - self.expression_mean).pow(2).sum()
        total = total + w.identity * len(r) / w.frames * state.identity.pow(2).sum()
        if self.photo is not None:
            total = total + self.photo.cost(state)
        total = total + w.focal * len(r) / w.frames * torch.log(state.focal / self.focal_guess) ** 2
        return total + (self.bend.weight(True, True, state) * self.bend.residual(True, True, state).pow(2)).sum()

    def solve(self, state: FitState, free: Free, iterations: int, tolerance: float = 1e-4) -> FitState:
        """The best state of at most `iterations` damped Gauss-Newton steps from `state`.

        The identity is solved for without smoothness (`subset`): its frames lie apart.
        """
        damping = 1e-3
        best, cost = state, self.cost(state)
        for _ in range(iterations):
            candidate = self._step(best, free, damping)
            new = self.cost(candidate)
            if torch.isfinite(new) and new < cost:
                done = (cost - new) < tolerance * cost
                best, cost, damping = candidate, new, max(damping / 5, 1e-6)
                if done:
                    break
            elif torch.isfinite(new) and (new - cost) < tolerance * cost:
                break  # reweighting and the sliding jaw line make the last steps swing
            else:
                damping *= 10
                if damping > 1e3:
                    break
        return best

    def _step(self, state: FitState, free: Free, damping: float) -> FitState:
        w, n = self.weights, len(self.seen)
        n_pose, n_id = POSE * free.pose, len(state.identity) * free.identity
        parts = [self._normal(state, slice(k, min(k + CHUNK, n)), free) for k in range(0, n, CHUNK)]
        a, b, g = (torch.cat([part[k] for part in parts]) for k in (0, 1, 3))
        c, h = (torch.stack([part[k] for part in parts]).sum(0) for k in (2, 4))
        if self.photo is not None:
            more = self.photo.normal(state, free)
            a, g = a + more[0], g + more[1]
        diagonal = a.diagonal(dim1=1, dim2=2)  # a view
        if free.expression:
            diagonal[:, n_pose:] += w.expression
            g[:, n_pose:] += w.expression * (state.expression - self.expression_mean)
        diagonal *= 1 + damping
        if n_id:
            prior = w.identity * n / w.frames
            solved = torch.cholesky_solve(torch.cat([g[..., None], b], 2), torch.linalg.cholesky(a))  # (n, P, 1 + S)
            s = (
                c
                - torch.einsum("tps,tpr->sr", b, solved[..., 1:])
                + prior * torch.eye(n_id, dtype=h.dtype, device=h.device)
            )
            right = h + prior * state.identity - torch.einsum("tps,tp->s", b, solved[..., 0])
            shared = -torch.linalg.solve(s + damping * torch.diag(s.diagonal()), right)
            local = -solved[..., 0] - solved[..., 1:] @ shared
        else:
            shared = h
            local = self.bend.solve(
                a,
                g,
                self.bend.residual(free.pose, free.expression, state),
                self.bend.weight(free.pose, free.expression, state),
            )
        out = state
        if free.pose:
            out = replace(
                out, rotation=exp_rotation(local[:, :3]) @ state.rotation, translation=state.translation + local[:, 3:6]
            )
        if free.expression:
            out = replace(out, expression=state.expression + local[:, n_pose:])
        if free.identity:
            out = replace(out, identity=state.identity + shared)
        return out

    def _normal(self, state: FitState, part: slice, free: Free) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Normal equations of some frames: A (t, P, P), B (t, P, S), C (S, S), and the right sides (t, P), (S,)."""
        some = replace(
            state, expression=state.expression[part], rotation=state.rotation[part], translation=state.translation[part]
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
            turn = -skew(x - some.translation[:, None])
            blocks += [d @ turn, d]
        model = d @ some.rotation[:, None]  # (t, L, 2, 3) by model space
        if free.expression:
            blocks.append(torch.einsum("tlij,tlkj->tlik", model, self.expression_basis.transpose(0, 1)[index]))
        j = torch.cat(blocks, -1).flatten(1, 2)  # (t, 2L, P)
        e = (r * self.scale[part][:, None, None] * root).flatten(1)  # (t, 2L)
        m = j.new_zeros(*j.shape[:2], 0)
        if free.identity:
            m = torch.einsum("tlij,tlkj->tlik", model, self.identity_basis.transpose(0, 1)[index]).flatten(1, 2)
        a = j.mT @ j
        b = j.mT @ m
        c = torch.einsum("tns,tnr->sr", m, m)
        g = torch.einsum("tnp,tn->tp", j, e)
        h = torch.einsum("tns,tn->s", m, e)
        return a, b, c, g, h
