//! Sets, as `net/netfilter/ipset` keeps them.

use ipset_netlink::{Entry, SetName, SetSpec};

use super::{MemoryKernel, MemorySet};
use crate::kernel::{KernelError, KernelErrorKind, KernelPart};

impl MemoryKernel {
    pub(super) fn create_set(&mut self, spec: &SetSpec) -> Result<(), KernelError> {
        spec.validate()
            .map_err(|error| invalid(spec.name.as_str(), &error))?;
        if self.sets.contains_key(&spec.name) {
            return Err(KernelError::exists(
                KernelPart::Ipset,
                format_args!("set {}", spec.name),
            ));
        }
        let set = MemorySet {
            spec: spec.clone(),
            entries: std::collections::BTreeSet::new(),
        };
        self.sets.insert(spec.name, set);
        Ok(())
    }

    pub(super) fn add_entry(&mut self, name: &SetName, entry: &Entry) -> Result<(), KernelError> {
        let set = self.set(name)?;
        set.spec
            .check(entry)
            .map_err(|error| invalid(name.as_str(), &error))?;
        if set.entries.contains(entry) {
            return Err(KernelError::exists(
                KernelPart::Ipset,
                format_args!("{entry} in set {name}"),
            ));
        }
        match set.spec.options.maxelem {
            Some(maxelem) if set.entries.len() >= maxelem as usize => Err(KernelError::new(
                KernelPart::Ipset,
                KernelErrorKind::Full,
                format!("set {name} is full: it holds {maxelem} members"),
            )),
            _ => {
                set.entries.insert(entry.clone());
                Ok(())
            }
        }
    }

    pub(super) fn delete_entry(
        &mut self,
        name: &SetName,
        entry: &Entry,
    ) -> Result<(), KernelError> {
        if self.set(name)?.entries.remove(entry) {
            Ok(())
        } else {
            Err(KernelError::missing(
                KernelPart::Ipset,
                format_args!("{entry} in set {name}"),
            ))
        }
    }

    /// Rules refer to the name, so that they match what it stands for from now on.
    pub(super) fn swap_sets(&mut self, one: &SetName, other: &SetName) -> Result<(), KernelError> {
        let (first, second) = (self.set(one)?.clone(), self.set(other)?.clone());
        if !first.spec.swappable(&second.spec) {
            return Err(KernelError::invalid(
                KernelPart::Ipset,
                format_args!("sets {one} and {other}"),
                "cannot be swapped: their types or families differ",
            ));
        }
        self.put(*one, second);
        self.put(*other, first);
        Ok(())
    }

    fn put(&mut self, name: SetName, mut set: MemorySet) {
        set.spec.name = name;
        self.sets.insert(name, set);
    }

    pub(super) fn destroy_set(&mut self, name: &SetName) -> Result<(), KernelError> {
        self.set(name)?;
        if let Some(by) = self.rule_naming(name) {
            return Err(KernelError::new(
                KernelPart::Ipset,
                KernelErrorKind::Busy,
                format!("set {name} is in use by {by}: remove that first"),
            ));
        }
        self.sets.remove(name);
        Ok(())
    }

    fn set(&mut self, name: &SetName) -> Result<&mut MemorySet, KernelError> {
        self.sets
            .get_mut(name)
            .ok_or_else(|| KernelError::missing(KernelPart::Ipset, format_args!("set {name}")))
    }
}

fn invalid(object: &str, error: &ipset_netlink::Error) -> KernelError {
    KernelError::invalid(KernelPart::Ipset, format_args!("set {object}"), error)
        .caused_by(error.clone())
}
