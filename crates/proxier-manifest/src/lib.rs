//! Kubernetes objects and configuration, read from YAML and JSON, and with the feature `protobuf` from protobuf.
//!
//! Objects are read as `kubectl get services,endpointslices,nodes -A -o yaml` prints them: a `List`, a list as
//! an API server returns it, a stream of documents, or several JSON values in a row. Fields that no proxy
//! needs are ignored. An entry that cannot be used costs that entry only, and an object that cannot be used
//! leaves the others; each is reported with its place and the field ([`Diagnostic`]).
//!
//! Texts from outside are cut and escaped in all messages.
#![forbid(unsafe_code)]

mod address;
mod borrowed;
mod config;
mod convert;
mod diagnostic;
mod documents;
mod explanation;
mod field_error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod host;
pub mod json;
pub mod list;
mod manifests;
mod names;
mod object;
mod objects;
#[cfg(feature = "protobuf")]
pub mod protobuf;
mod quantity;
pub mod snapshot;
mod text;

pub use config::{
    ClientConnectionConfiguration, ConfigDocument, ConfigError, ConntrackConfiguration,
    DetectLocalConfiguration, IptablesConfiguration, IpvsConfiguration, KubeProxyConfiguration,
    LoggingConfiguration, read_config,
};
pub use convert::Object;
pub use diagnostic::{Diagnostic, Location, Severity};
pub use documents::MAX_ALIAS_EVENTS;
pub use explanation::explanation_json;
pub use field_error::{FieldError, FieldErrors};
pub use host::read_links;
pub use manifests::{Content, MAX_OBJECTS, Manifests, read_cluster};
pub use names::Names;
pub use object::{ObjectError, ObjectReading, read_object};
pub use objects::{INITIAL_EVENTS_END, LAST_CHANGE_TRIGGER_TIME};
pub use quantity::{DurationError, parse_duration};
pub use snapshot::{Snapshot, SnapshotError};
pub use text::{printable, printable_within};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
