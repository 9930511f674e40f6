"""How each system is started, fed and asked whether it is done. One file a system."""
