"""The commands `tidewire import-dump` and `tidewire export-dump`."""
