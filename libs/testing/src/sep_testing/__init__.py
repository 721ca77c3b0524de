"""What SEP's tests stand on: a clock to turn, real Valkey, real servers, eventually()."""
