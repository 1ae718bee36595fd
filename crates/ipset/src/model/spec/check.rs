//! What the kernel would refuse to create, or would create otherwise.

use std::net::IpAddr;

use crate::{BitmapRange, Error, Family, MAX_TIMEOUT, Method, SetSpec, SetType};

/// Most bits of a bitmap (`IPSET_BITMAP_MAX_RANGE` + 1).
const MAX_BITMAP: u64 = 0x1_0000;

impl SetSpec {
    /// Checks whether the kernel would create this set with these options.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`] with the reason.
    pub fn validate(&self) -> Result<(), Error> {
        match self.fault() {
            Some(reason) => Err(Error::InvalidSpec {
                set: self.name,
                set_type: self.set_type,
                reason,
            }),
            None => Ok(()),
        }
    }

    fn fault(&self) -> Option<&'static str> {
        let method = self.set_type.method()?;
        self.family_fault()
            .or_else(|| self.option_fault(method))
            .or_else(|| self.mask_fault())
            .or_else(|| self.range_fault(method))
    }

    fn family_fault(&self) -> Option<&'static str> {
        let fits = if self.set_type.has_family_choice() {
            self.family.is_some()
        } else {
            self.family == self.set_type.default_family()
        };
        (!fits).then_some("its type cannot be of this family")
    }

    fn option_fault(&self, method: Method) -> Option<&'static str> {
        let options = &self.options;
        let hash_only = options.hashsize.is_some()
            || options.maxelem.is_some()
            || options.forceadd
            || options.bucketsize.is_some()
            || options.initval.is_some();
        if method != Method::Hash && hash_only {
            return Some(
                "`hashsize`, `maxelem`, `forceadd`, `bucketsize` and `initval` are for hashes",
            );
        }
        if method != Method::List && options.size.is_some() {
            return Some("`size` is for list:set");
        }
        if options.markmask.is_some() && self.set_type != SetType::HASH_IP_MARK {
            return Some("`markmask` is for hash:ip,mark");
        }
        if options.markmask == Some(0) {
            return Some("`markmask` 0 leaves nothing of the mark");
        }
        if options.timeout.is_some_and(|seconds| seconds > MAX_TIMEOUT) {
            return Some("the longest timeout is 2147483 seconds");
        }
        None
    }

    fn mask_fault(&self) -> Option<&'static str> {
        let options = &self.options;
        let bitmask_types = [
            SetType::HASH_IP,
            SetType::HASH_IP_PORT,
            SetType::HASH_NET_NET,
        ];
        let takes_bitmask = bitmask_types.contains(&self.set_type);
        if options.netmask.is_some() && !takes_bitmask && self.set_type != SetType::BITMAP_IP {
            return Some("`netmask` is for bitmap:ip, hash:ip, hash:ip,port and hash:net,net");
        }
        if options.bitmask.is_some() && !takes_bitmask {
            return Some("`bitmask` is for hash:ip, hash:ip,port and hash:net,net");
        }
        if options.netmask.is_some() && options.bitmask.is_some() {
            return Some("`netmask` and `bitmask` exclude each other");
        }
        let longest = self.family.map_or(32, Family::bits);
        if options
            .netmask
            .is_some_and(|length| length == 0 || length > longest)
        {
            return Some("`netmask` is a prefix length from 1 to 32, or to 128 for IPv6");
        }
        let bitmask = options.bitmask?;
        if self.family != Some(Family::of(bitmask)) {
            return Some("`bitmask` is of the other family");
        }
        bitmask
            .is_unspecified()
            .then_some("`bitmask` leaves nothing of the address")
    }

    fn range_fault(&self, method: Method) -> Option<&'static str> {
        if method != Method::Bitmap {
            return self.options.range.map(|_| "`range` is for bitmaps");
        }
        match (self.set_type, self.options.range) {
            (_, None) => Some("a bitmap needs a `range`"),
            (SetType::BITMAP_PORT, Some(BitmapRange::Ports(_))) => None,
            (
                SetType::BITMAP_IP | SetType::BITMAP_IP_MAC,
                Some(BitmapRange::Addresses(first, last)),
            ) => self.address_range_fault(first.to_bits(), last.to_bits()),
            (_, Some(_)) => Some("its `range` is not of what its elements are"),
        }
    }

    fn address_range_fault(&self, first: u32, last: u32) -> Option<&'static str> {
        if first > last {
            return Some("its `range` runs backwards");
        }
        let host_bits = 32 - u32::from(self.options.netmask.unwrap_or(32).min(32));
        let host_mask = u32::MAX.checked_shr(32 - host_bits).unwrap_or(0);
        if first & host_mask != 0 || last & host_mask != host_mask {
            return Some("its `range` does not start and end where its `netmask` does");
        }
        let bits = (u64::from(last - first) >> host_bits) + 1;
        (bits > MAX_BITMAP).then_some("a bitmap has at most 65536 elements")
    }

    /// `address` as the set would store it.
    pub(crate) fn masked(&self, address: IpAddr) -> IpAddr {
        let (netmask, bitmask) = (self.options.netmask, self.options.bitmask);
        match (address, bitmask) {
            (IpAddr::V4(address), Some(IpAddr::V4(mask))) => (address & mask).into(),
            (IpAddr::V6(address), Some(IpAddr::V6(mask))) => (address & mask).into(),
            (address, _) => {
                let network =
                    netmask.and_then(|length| ipnetwork::IpNetwork::new(address, length).ok());
                network.map_or(address, |network| network.network())
            }
        }
    }
}
