"""Our image as the root of a virtual machine: QEMU without KVM, and a kernel of Debian's."""
