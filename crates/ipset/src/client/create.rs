//! Creating sets.

use std::borrow::Cow;

use crate::client::{AsyncClient, Client};
use crate::message::{Mode, Reply, Request, TypeInfo};
use crate::{Error, Family, SetSpec, SetType};

netlink_batch::methods! { Client, AsyncClient;
    /// Which revisions of a type the kernel has. Loads its module; asked once for each type and
    /// family.
    ///
    /// # Errors
    /// [`Error::Kernel`] with [`ErrorKind::UnknownType`] where it has none.
    pub async fn type_info(
        &mut self,
        set_type: SetType,
        family: impl Into<Option<Family>>,
    ) -> Result<TypeInfo, Error> {
        let family = family.into();
        if let Some(info) = self.types.get(&(set_type, family)) {
            return Ok(*info);
        }
        let request = Request::Type { set_type, family };
        let info = self
            .get(&request, |reply| match reply {
                Reply::Type(info) => Some(info),
                _ => None,
            })
            .await?;
        self.types.insert((set_type, family), info);
        Ok(info)
    }

    /// The request that creates a set, with the newest revision of its type that both the kernel
    /// and this crate know.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`], [`Error::OldRevision`] for options that this kernel would ignore,
    /// and those of [`type_info`](Self::type_info).
    pub async fn create_request<'s>(
        &mut self,
        spec: &'s SetSpec,
        mode: Mode,
    ) -> Result<Request<'s>, Error> {
        spec.validate()?;
        let info = self.type_info(spec.set_type, spec.family).await?;
        let revision = spec
            .set_type
            .newest_revision()
            .map_or(info.revision, |newest| newest.min(info.revision));
        let missing = spec
            .needed_revision()
            .filter(|(needed, _)| *needed > revision);
        if let Some((needed, option)) = missing {
            return Err(Error::OldRevision {
                set: spec.name,
                set_type: spec.set_type,
                option,
                needed,
                revision,
            });
        }
        Ok(Request::Create {
            spec: Cow::Borrowed(spec),
            revision,
            mode,
        })
    }

    /// Creates a set.
    ///
    /// # Errors
    /// Those of [`create_request`](Self::create_request); [`ErrorKind::SetExists`] if it exists;
    /// with [`Mode::Idempotent`] only if it has another type or other options
    /// ([`SetSpec::same_set`]).
    pub async fn create(&mut self, spec: &SetSpec, mode: Mode) -> Result<(), Error> {
        let request = self.create_request(spec, mode).await?;
        self.send(&request).await
    }
}
