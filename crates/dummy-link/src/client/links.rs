//! Links.

use netlink_batch::{
    Header, Message, errno,
    uapi::{NLM_F_CREATE, NLM_F_EXCL},
};

use super::{AsyncClient, Client, Outcome, link_error};
use crate::message;
use crate::uapi::{RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK};
use crate::{DUMMY, Error, Link, LinkName};

netlink_batch::methods! { Client, AsyncClient;
    /// Creates a dummy link unless there is one of this name. A new one is not set up; the addresses
    /// of a link are local all the same.
    ///
    /// # Errors
    /// [`Error::NotDummy`] and [`Error::NameTaken`] if another link has the name,
    /// [`Error::DummyUnsupported`], [`Error::NotPermitted`], [`Error::Link`].
    pub async fn ensure(&mut self, link: LinkName) -> Result<Outcome, Error> {
        let header = Header::new(RTM_NEWLINK).with(NLM_F_CREATE | NLM_F_EXCL);
        let failed = match self
            .connection
            .request(header, &message::new_dummy(link))
            .await
        {
            Ok(()) => return Ok(Outcome::Changed),
            Err(error) => error,
        };
        match failed.code() {
            Some(errno::EEXIST) => self.dummy(link).await.map(|_| Outcome::Unchanged),
            Some(errno::EOPNOTSUPP) => Err(Error::DummyUnsupported { link }),
            // The answer is lost, but what matters is whether the link is there.
            None if self.dummy(link).await.is_ok() => Ok(Outcome::Changed),
            _ => Err(link_error("create", link, failed)),
        }
    }

    /// Deletes a dummy link and with it its addresses. [`Outcome::Unchanged`] if there is no link of
    /// this name.
    ///
    /// # Errors
    /// [`Error::NotDummy`] and [`Error::NameTaken`]: other links are left alone.
    /// [`Error::NotPermitted`], [`Error::Link`].
    pub async fn delete(&mut self, link: LinkName) -> Result<Outcome, Error> {
        let found = match self.dummy(link).await {
            Ok(found) => found,
            Err(Error::LinkMissing { .. }) => return Ok(Outcome::Unchanged),
            Err(error) => return Err(error),
        };
        // By index: another link may have the name by now.
        let request = message::link_by_index(found.index);
        match self
            .connection
            .request(Header::new(RTM_DELLINK), &request)
            .await
        {
            Ok(()) => Ok(Outcome::Changed),
            Err(error) => match link_error("delete", link, error) {
                Error::LinkMissing { .. } => Ok(Outcome::Unchanged),
                error => Err(error),
            },
        }
    }

    /// Sets a dummy link up or down.
    ///
    /// # Errors
    /// As [`dummy`](Self::dummy); [`Error::NotPermitted`].
    pub async fn set_up(&mut self, link: LinkName, up: bool) -> Result<Outcome, Error> {
        let found = self.dummy(link).await?;
        if found.is_up == up {
            return Ok(Outcome::Unchanged);
        }
        let action = if up { "set up" } else { "set down" };
        self.connection
            .request(Header::new(RTM_NEWLINK), &message::set_up(found.index, up))
            .await
            .map_err(|error| link_error(action, link, error))?;
        Ok(Outcome::Changed)
    }

    /// The link of this name, of whatever kind.
    ///
    /// # Errors
    /// [`Error::LinkMissing`], [`Error::NameTaken`], [`Error::Link`], [`Error::Malformed`].
    pub async fn link(&mut self, link: LinkName) -> Result<Link, Error> {
        let found = self
            .connection
            .get(
                Header::new(RTM_GETLINK),
                &message::link_by_name(link),
                |reply| parse_link(&reply),
            )
            .await
            .map_err(|error| match error {
                Error::Netlink(error) => link_error("look up", link, error),
                error => error,
            })?;
        if found.name != link {
            return Err(Error::NameTaken {
                link,
                holder: found.name,
            });
        }
        Ok(found)
    }

    /// The dummy link of this name.
    ///
    /// # Errors
    /// [`Error::NotDummy`] for a link of another kind; else as [`link`](Self::link).
    pub async fn dummy(&mut self, link: LinkName) -> Result<Link, Error> {
        let found = self.link(link).await?;
        if found.is_dummy() {
            Ok(found)
        } else {
            Err(Error::NotDummy {
                link,
                kind: found.kind,
            })
        }
    }

    /// The link that has this name or alternative name; `None` if there is none. Kernels before 5.5
    /// have no alternative names.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::Malformed`].
    pub async fn find_link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let request = message::link_by_any_name(name);
        let found = self
            .connection
            .get(Header::new(RTM_GETLINK), &request, |reply| {
                parse_link(&reply)
            })
            .await;
        match found {
            Ok(link) => Ok(Some(link).filter(|link| link.has_name(name))),
            Err(Error::Netlink(error))
                // An older kernel sees a request without any name, or a name too long.
                if matches!(error.code(), Some(errno::ENODEV | errno::EINVAL | errno::ERANGE)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// All links, by index.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::Malformed`].
    pub async fn links(&mut self) -> Result<Vec<Link>, Error> {
        let header = Header::dump(RTM_GETLINK);
        let mut links = self
            .connection
            .dump_all(header, &message::all_links(), |reply| {
                parse_link(&reply).map(Some)
            })
            .await?;
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// All links of this kind (`bridge`, `veth`, …), by index.
    ///
    /// # Errors
    /// As [`links`](Self::links).
    pub async fn links_of_kind(&mut self, kind: &str) -> Result<Vec<Link>, Error> {
        let mut links = self.links().await?;
        links.retain(|link| link.is_kind(kind));
        Ok(links)
    }

    /// All dummy links, by index.
    ///
    /// # Errors
    /// As [`links`](Self::links).
    pub async fn dummies(&mut self) -> Result<Vec<Link>, Error> {
        self.links_of_kind(DUMMY).await
    }
}

fn parse_link(reply: &Message<'_>) -> Result<Link, Error> {
    message::parse_link(reply.payload).map_err(|reason| Error::Malformed {
        what: "link",
        reason,
    })
}
