//! Chains as a whole: deleted, renamed.

use std::collections::HashMap;

use super::ApplyErrorKind;
use super::work::{Work, targets};
use crate::name::ChainName;
use crate::ruleset::Chain;
use crate::target::Target;

impl Work<'_> {
    pub(super) fn delete_chain(&mut self, name: &ChainName) -> Result<(), ApplyErrorKind> {
        let place = self.place(name)?;
        let found = self.at(place, name)?;
        if found.policy.is_some() {
            return Err(ApplyErrorKind::BuiltinChain(name.clone()));
        }
        if !found.rules.is_empty() {
            return Err(ApplyErrorKind::NotEmpty {
                chain: name.clone(),
                rules: found.rules.len(),
            });
        }
        let jumped_to = {
            let references = self.references.take().unwrap_or_else(|| {
                let mut references: HashMap<String, usize> = HashMap::new();
                for target in self.chains().flat_map(targets) {
                    *references.entry(target.to_owned()).or_default() += 1;
                }
                references
            });
            let count = references.get(name.as_str()).copied();
            self.references = Some(references);
            count.is_some_and(|count| count > 0)
        };
        if jumped_to {
            let jumps = |from: &&Chain| targets(from).any(|target| target == name.as_str());
            if let Some(from) = self.chains().find(jumps) {
                return Err(ApplyErrorKind::StillReferenced {
                    chain: name.clone(),
                    from: from.name.clone(),
                });
            }
        }
        if let Some(places) = &mut self.places {
            places.remove(name.as_str());
        }
        self.removed.insert(place);
        Ok(())
    }

    /// The chain of this name.
    pub(super) fn chain_mut(&mut self, name: &ChainName) -> Result<&mut Chain, ApplyErrorKind> {
        let place = self.place(name)?;
        self.at(place, name)
    }

    /// All chains that are not deleted.
    pub(super) fn chains_mut(&mut self) -> impl Iterator<Item = &mut Chain> {
        let removed = &self.removed;
        let chains = self.table.chains.iter_mut().enumerate();
        chains
            .filter(|(place, _)| !removed.contains(place))
            .map(|(_, chain)| chain)
    }

    /// The number of rules that jump to each chain has changed, and is counted again when it is needed.
    pub(super) fn forget_references(&mut self) {
        self.references = None;
    }

    /// Renames a chain, and the jumps to it. It is not taken back.
    pub(super) fn rename(
        &mut self,
        name: &ChainName,
        to: &ChainName,
    ) -> Result<(), ApplyErrorKind> {
        let place = self.place(name)?;
        let found = self.at(place, name)?;
        if found.policy.is_some() {
            return Err(ApplyErrorKind::BuiltinChain(name.clone()));
        }
        if self.get(to.as_str()).is_some() {
            return Err(ApplyErrorKind::ChainExists(to.clone()));
        }
        self.at(place, name)?.name = to.clone();
        if let Some(places) = &mut self.places {
            places.remove(name.as_str());
            places.insert(to.clone(), place);
        }
        let jumps = |chain: &&mut Chain| targets(chain).any(|target| target == name.as_str());
        for rule in self
            .chains_mut()
            .filter(jumps)
            .flat_map(|chain| &mut chain.rules)
        {
            if let Some(Target::Jump(target) | Target::Goto(target)) = &mut rule.target {
                if *target == name.as_str() {
                    to.as_str().clone_into(target);
                }
            }
        }
        for jump in &mut self.jumps {
            if *jump == name.as_str() {
                to.as_str().clone_into(jump);
            }
        }
        self.forget_references();
        Ok(())
    }
}
