"""By what the environment's variables that are meant for us are known; read also by what has no time for more."""

PREFIX = "TOPTANK_"
