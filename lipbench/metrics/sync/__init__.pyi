from .arithmetic import SyncScore as SyncScore
from .family import SyncFamily as SyncFamily
from .folded import FoldedSyncNet as FoldedSyncNet
from .measure import evaluate as evaluate
from .models import SyncModel as SyncModel
from .network import SyncNet as SyncNet
from .protocol import SyncOptions as SyncOptions
from .result import SyncResult as SyncResult
