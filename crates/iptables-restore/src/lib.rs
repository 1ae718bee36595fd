//! The iptables-save format as a typed model: rendered, parsed, restored.
