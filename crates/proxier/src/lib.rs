//! Kubernetes Services to IPVS state, as a pure reconcile function.
