from .blazeface import BlazeFace as BlazeFace
from .blazeface import BlazeFacePair as BlazeFacePair
from .detector import Detector as Detector
from .s3fd import S3FD as S3FD
