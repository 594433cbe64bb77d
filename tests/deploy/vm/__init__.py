"""Our image as the root of a real virtual machine: QEMU in software, with a kernel of Debian's."""
