//! Unloading.

use crate::{Error, ModuleName, Modules, Presence, UnloadOutcome, UnloadReason, live, unload};

impl Modules {
    /// Unloads the module. `name` may also be an alias of it.
    ///
    /// It is this module alone: modules that it depends on stay, and a module in use stays too. It does not wait, and
    /// never forces. `modprobe -r`, which unloads unused dependencies and follows the
    /// [`remove`](crate::Directive::Remove) rules of modprobe.d(5), is not run.
    ///
    /// # Errors
    /// - [`Error::NotUnloaded`]: the module stays. The [reason](UnloadReason) tells a module in use (and by which
    ///   others) from one that is built in, and both from a missing permission.
    /// - [`Error::Read`]: a file cannot be read.
    pub fn unload(&self, name: &ModuleName) -> Result<UnloadOutcome, Error> {
        let mut candidates = vec![name.clone()];
        // A name of its own goes before aliases.
        if live::presence(&self.root, name)?.is_none() {
            candidates.extend(self.by_alias(name.as_str())?);
        }
        for module in candidates {
            match self.search_name(&module)? {
                super::Found::Kernel(Presence::BuiltIn) => {
                    return Err(Error::NotUnloaded {
                        module,
                        reason: UnloadReason::BuiltIn,
                    });
                }
                super::Found::Kernel(_) => return unload::remove(&self.root, &module),
                super::Found::Files(_) | super::Found::Nothing(_) => {}
            }
        }
        Ok(UnloadOutcome::NotLoaded)
    }
}
