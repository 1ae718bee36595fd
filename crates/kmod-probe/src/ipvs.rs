//! Which modules IPVS needs.

use crate::{Error, KernelVersion, ModuleName};

/// The release that merged `nf_conntrack_ipv4` and `nf_conntrack_ipv6` into `nf_conntrack`.
///
/// <https://git.kernel.org/torvalds/c/a0ae2562c6c4b2721d9fddba63b7286c13517d9f>
const CONNTRACK_MERGED: KernelVersion = KernelVersion::new(4, 19, 0);

/// The modules that IPVS needs on a kernel of this version to balance with this scheduler, in an
/// order in which they can be loaded: `ip_vs`, `ip_vs_SCHEDULER`, then connection tracking, which is
/// `nf_conntrack` from 4.19 and `nf_conntrack_ipv4` before.
///
/// The scheduler `none` has no module. Some distributions ported the 4.19 merge back to older kernels:
/// there `nf_conntrack_ipv4` is absent and not needed, so an absent module is not yet a failure.
///
/// ```
/// # use kmod_probe::{KernelVersion, required_modules};
/// let names = required_modules(KernelVersion::new(5, 15, 0), "rr")?;
/// let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
/// assert_eq!(names, ["ip_vs", "ip_vs_rr", "nf_conntrack"]);
/// # Ok::<(), kmod_probe::Error>(())
/// ```
///
/// # Errors
/// [`Error::ModuleName`] if `ip_vs_SCHEDULER` cannot be a module's name.
pub fn required_modules(version: KernelVersion, scheduler: &str) -> Result<Vec<ModuleName>, Error> {
    let mut modules = vec![ModuleName::known("ip_vs")];
    if scheduler != "none" {
        modules.push(format!("ip_vs_{scheduler}").parse()?);
    }
    modules.push(ModuleName::known(if version >= CONNTRACK_MERGED {
        "nf_conntrack"
    } else {
        "nf_conntrack_ipv4"
    }));
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(release: &str, scheduler: &str) -> Vec<String> {
        required_modules(release.parse().unwrap(), scheduler)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn connection_tracking_was_merged_in_4_19() {
        assert_eq!(
            names("4.19.0-1-amd64", "wrr"),
            ["ip_vs", "ip_vs_wrr", "nf_conntrack"]
        );
        assert_eq!(
            names("4.18.20", "sh"),
            ["ip_vs", "ip_vs_sh", "nf_conntrack_ipv4"]
        );
        assert_eq!(
            names("3.10.0-1160.el7.x86_64", "rr"),
            ["ip_vs", "ip_vs_rr", "nf_conntrack_ipv4"]
        );
    }

    #[test]
    fn no_scheduler_needs_no_module() {
        assert_eq!(names("6.1.176", "none"), ["ip_vs", "nf_conntrack"]);
    }

    #[test]
    fn rejects_a_scheduler_that_cannot_be_a_name() {
        let error = required_modules(KernelVersion::new(6, 1, 0), "../rr").unwrap_err();
        assert!(error.to_string().contains("ip_vs_../rr"), "{error}");
    }
}
