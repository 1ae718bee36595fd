//! The model: what nf_tables consists of, as plain values.

mod chain;
mod data;
mod datatype;
mod element;
pub mod expression;
mod family;
mod flowtable;
mod generation;
mod name;
mod object;
mod others;
mod rule;
mod ruleset;
mod set;
mod table;
pub(crate) mod type_of;
pub mod userdata;

pub use chain::{Chain, ChainFlags, Devices, Hook, HookNumber, priority};
pub use data::{Data, Register, Verdict, VerdictCode};
pub use datatype::DataType;
pub use element::{Element, ElementFlags, ElementVec, Elements, concat};
pub use expression::{Expression, Expressions, RawExpression, Stateful};
pub use family::TableFamily;
pub use flowtable::{Flowtable, FlowtableHook};
pub use generation::Generation;
pub use name::{Name, NameError};
pub use object::{Object, ObjectBytes, ObjectKind, ObjectState};
pub use others::{Others, RawAttribute};
pub use rule::{Rule, RuleCompat};
pub use ruleset::{FilledSet, Ruleset};
pub use set::{FieldLengths, Set, SetDescription, SetFlags};
pub use table::{Table, TableFlags};
pub use type_of::TypeOf;
