//! The macro that makes a structure from the list of its attributes.

/// The type of a field by its mode.
macro_rules! field {
    (required $type:ty) => { $type };
    (default $type:ty) => { $type };
    (written $type:ty) => { $type };
    (optional $type:ty) => { Option<$type> };
}

/// The value of a field by its mode, from what was read.
macro_rules! finish {
    (required $value:ident $name:expr) => {
        netlink_wire::require($value, $name)?
    };
    (default $value:ident $name:expr) => {
        $value.unwrap_or_default()
    };
    (written $value:ident $name:expr) => {
        $value.unwrap_or_default()
    };
    (optional $value:ident $name:expr) => {
        $value
    };
}

/// Writes a field by its mode.
macro_rules! put {
    (required $self:ident $field:ident $writer:ident $kind:ident) => {
        crate::wire::Value::write(&$self.$field, $writer, crate::uapi::$kind);
    };
    (written $self:ident $field:ident $writer:ident $kind:ident) => {
        crate::wire::Value::write(&$self.$field, $writer, crate::uapi::$kind);
    };
    (default $self:ident $field:ident $writer:ident $kind:ident) => {
        if !crate::wire::is_default(&$self.$field) {
            crate::wire::Value::write(&$self.$field, $writer, crate::uapi::$kind);
        }
    };
    (optional $self:ident $field:ident $writer:ident $kind:ident) => {
        if let Some(value) = &$self.$field {
            crate::wire::Value::write(value, $writer, crate::uapi::$kind);
        }
    };
}

/// A structure whose fields are the attributes of a nest, in the order in which they are written.
///
/// Modes: `required` must be there, `default` is its type's default where it is absent and absent where it
/// is the default, `written` is its
/// type's default where it is absent and always written, `optional` is an `Option`. A field behind the nest's name is in the message's header.
macro_rules! attributes {
    (
        $(#[$meta:meta])*
        $name:ident: $nest:literal $(, $(#[$extra_doc:meta])* $extra:ident: $extra_type:ty)? {
            $($(#[$doc:meta])* $mode:ident $field:ident: $type:ty = $kind:ident,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name {
            $($(#[$extra_doc])* pub $extra: $extra_type,)?
            $($(#[$doc])* pub $field: crate::wire::field!($mode $type),)*
            /// Attributes that this crate does not know.
            #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "crate::Others::is_empty"))]
            pub others: crate::Others,
        }

        impl crate::wire::Attributes for $name {
            fn decode(bytes: &[u8]) -> Result<Self, crate::DecodeError> {
                const NAMES: &netlink_wire::Names = &[$((crate::uapi::$kind, stringify!($kind)),)*];
                $(let mut $field: Option<$type> = None;)*
                let mut others = crate::Others::default();
                netlink_wire::walk(bytes, $nest, NAMES, |attribute| {
                    match attribute.kind() {
                        $(crate::uapi::$kind => {
                            $field = Some(crate::wire::Value::read(&attribute)?);
                        })*
                        _ => others.keep(&attribute),
                    }
                    Ok(())
                })?;
                Ok(Self {
                    $($extra: Default::default(),)?
                    $($field: crate::wire::finish!($mode $field stringify!($kind)),)*
                    others,
                })
            }

            fn encode(&self, writer: &mut netlink_wire::Writer<'_>) {
                $(crate::wire::put!($mode self $field writer $kind);)*
                self.others.encode(writer);
            }
        }

        impl crate::wire::Value for $name {
            fn read(attribute: &netlink_wire::Attribute<'_>) -> Result<Self, netlink_wire::Fault> {
                Ok(crate::wire::Attributes::decode(attribute.value())?)
            }

            fn write(&self, writer: &mut netlink_wire::Writer<'_>, kind: u16) {
                writer.nest(kind, |writer| crate::wire::Attributes::encode(self, writer));
            }
        }
    };
}

pub(crate) use {attributes, field, finish, put};
