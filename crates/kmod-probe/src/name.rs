//! Module names.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The longest name the kernel stores: `MODULE_NAME_LEN` is `64 - sizeof(unsigned long)`, with the
/// closing NUL, on 64-bit kernels.
///
/// <https://elixir.bootlin.com/linux/v6.12/source/include/linux/moduleparam.h#L24>
const MAX_LEN: usize = 64 - 8 - 1;

/// A module's name as the kernel prints it, such as `ip_vs_rr`.
///
/// `-` and `_` are the same character in a module's name: files are called either way
/// (`dummy-irq.ko`), and the kernel prints `_`. A `ModuleName` always holds `_`, so that one module has
/// one name.
///
/// ```
/// # use kmod_probe::ModuleName;
/// let name: ModuleName = "dummy-irq".parse()?;
/// assert_eq!(name.as_str(), "dummy_irq");
/// # Ok::<(), kmod_probe::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleName(String);

impl ModuleName {
    /// The name, with `_` for every `-`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name known to be good when the crate was compiled.
    pub(crate) fn known(name: &'static str) -> Self {
        debug_assert!(is_valid(name));
        Self(name.to_owned())
    }
}

impl FromStr for ModuleName {
    type Err = Error;

    /// # Errors
    /// [`Error::ModuleName`] if the text is empty, longer than the kernel stores (55 bytes), or holds
    /// anything but ASCII letters, digits, `_`, `-`, `+` and `.`.
    fn from_str(name: &str) -> Result<Self, Error> {
        if is_valid(name) {
            Ok(Self(name.replace('-', "_")))
        } else {
            Err(Error::ModuleName {
                name: name.to_owned(),
            })
        }
    }
}

/// Names reach `modprobe`'s command line and paths below `/sys/module`: nothing may pass that could be
/// an option, a folder or a pattern.
fn is_valid(name: &str) -> bool {
    name.len() <= MAX_LEN
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'.'))
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ModuleName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dash_and_underscore_are_one() {
        let dash: ModuleName = "snd-hda_codec-x".parse().unwrap();
        let underscore: ModuleName = "snd_hda_codec_x".parse().unwrap();
        assert_eq!(dash, underscore);
        assert_eq!(dash.to_string(), "snd_hda_codec_x");
    }

    #[test]
    fn the_kernels_own_names_pass() {
        let longest = "a".repeat(MAX_LEN);
        for name in [
            "ip_vs",
            "8021q",
            "842",
            "xt_MASQUERADE",
            "crc-t10dif",
            &longest,
        ] {
            assert!(name.parse::<ModuleName>().is_ok(), "{name}");
        }
    }

    #[test]
    fn rejects_options_paths_and_patterns() {
        let long = "a".repeat(MAX_LEN + 1);
        for name in [
            "", "-r", "../etc", "a/b", "ip_vs*", "a b", "a\0", "é", ".", &long,
        ] {
            let error = name.parse::<ModuleName>().unwrap_err();
            assert!(matches!(error, Error::ModuleName { .. }), "{name}");
        }
    }
}
