//! How the value of one attribute is read and written.

use netlink_wire::{Attribute, Fault, Problem, Writer};

/// A value that one attribute holds. Numbers are in network byte order.
pub(crate) trait Value: Sized {
    /// Reads it from its attribute.
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault>;
    /// Writes it as an attribute of this type.
    fn write(&self, writer: &mut Writer<'_>, kind: u16);
}

macro_rules! numbers {
    ($($type:ty, $read:ident, $write:ident;)*) => {$(
        impl Value for $type {
            fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
                Ok(attribute.$read()?)
            }

            fn write(&self, writer: &mut Writer<'_>, kind: u16) {
                writer.$write(kind, *self);
            }
        }
    )*};
}

numbers! {
    u8, u8, u8;
    u16, u16_be, u16_be;
    u32, u32_be, u32_be;
    u64, u64_be, u64_be;
    i32, i32_be, i32_be;
}

/// Bytes as they are.
impl Value for Vec<u8> {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        Ok(attribute.value().to_vec())
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.bytes(kind, self);
    }
}

/// An attribute that means something by being there, or a number that means yes where it is not 0.
impl Value for bool {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        match attribute.value() {
            [] => Ok(true),
            value => Ok(value.iter().any(|byte| *byte != 0)),
        }
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.u32_be(kind, u32::from(*self));
    }
}

/// A list: a nest whose attributes are all values of one type.
pub(crate) fn read_list<T: Value>(attribute: &Attribute<'_>) -> Result<Vec<T>, Fault> {
    let mut list = Vec::new();
    for item in attribute.nested() {
        list.push(T::read(&item?)?);
    }
    Ok(list)
}

/// Writes a list, each value as an attribute of type `item`.
pub(crate) fn write_list<T: Value>(list: &[T], writer: &mut Writer<'_>, kind: u16, item: u16) {
    writer.nest(kind, |writer| {
        list.iter().for_each(|value| value.write(writer, item));
    });
}

/// The problem of a value that is longer than it may be.
pub(crate) fn too_long(expected: &'static str) -> Fault {
    Problem::Invalid { expected }.into()
}

/// The value of flags.
macro_rules! flags {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
                Ok(Self::from_bits_retain(Value::read(attribute)?))
            }

            fn write(&self, writer: &mut Writer<'_>, kind: u16) {
                self.bits().write(writer, kind);
            }
        }
    )*};
}

flags! {
    crate::model::TableFlags, crate::model::ChainFlags, crate::model::SetFlags, crate::model::ElementFlags,
    crate::model::expression::NatFlags, crate::model::expression::FibFlags,
    crate::model::expression::LogFlags, crate::model::expression::QueueFlags
}
