from .checkpoint import load as load
from .checkpoint import load_deblur as load_deblur
from .convert import read_mat as read_mat
from .method import Speech2Vid as Speech2Vid
from .networks import DeblurNet as DeblurNet
from .networks import Speech2VidNet as Speech2VidNet
