from . import corpus as corpus
from . import head as head
from . import speech as speech
