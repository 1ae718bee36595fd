//! Is a kernel module loaded, built in, loadable; load it.
