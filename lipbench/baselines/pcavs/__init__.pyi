from .encoders import AudioEncoder as AudioEncoder
from .encoders import IdentityEncoder as IdentityEncoder
from .encoders import PoseMouthEncoder as PoseMouthEncoder
from .generator import PcAvsGenerator as PcAvsGenerator
from .method import PcAvs as PcAvs
