from .arithmetic import SyncScore as SyncScore
from .family import SyncFamily as SyncFamily
from .folded import FoldedSyncNet as FoldedSyncNet
from .judges import Judge as Judge
from .measure import evaluate as evaluate
from .network import SyncNet as SyncNet
from .options import SyncOptions as SyncOptions
from .result import SyncResult as SyncResult
