//! The macro that makes the type of an open number: known values are constants, others are kept.

/// A number of the kernel with names for the values that are known.
macro_rules! number {
    (
        $(#[$meta:meta])*
        $name:ident($inner:ty) {
            $($(#[$doc:meta])* $constant:ident = $value:literal $text:literal,)*
        }
    ) => {
        $(#[$meta])*
        ///
        /// A value that is not known is kept, and displays as its number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(transparent))]
        pub struct $name(pub $inner);

        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// The word that `nft` has for it.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($text),)*
                    _ => None,
                }
            }

            /// The value that `nft` has this word for.
            #[must_use]
            pub fn by_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$constant),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => std::fmt::Display::fmt(&self.0, f),
                }
            }
        }

        impl crate::wire::Value for $name {
            fn read(attribute: &netlink_wire::Attribute<'_>) -> Result<Self, netlink_wire::Fault> {
                crate::wire::Value::read(attribute).map(Self)
            }

            fn write(&self, writer: &mut netlink_wire::Writer<'_>, kind: u16) {
                crate::wire::Value::write(&self.0, writer, kind);
            }
        }
    };
}

pub(crate) use number;
