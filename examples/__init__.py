"""Applications built on jobd, to read and to copy from."""
