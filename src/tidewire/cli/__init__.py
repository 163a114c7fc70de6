"""The commands of `tidewire`, one file each."""
