//! Tests that are run against each kind of server.

use crate::api_server::ApiServer;

/// What the server speaks.
#[derive(Clone, Copy)]
pub(crate) enum Api {
    /// HTTP/1.1 without encryption.
    Http1,
    /// HTTP/2 in TLS.
    Http2,
    /// HTTP/1.1 without encryption, and JSON where it is asked for protobuf.
    JsonOnly,
}

impl Api {
    /// Starts such a server, with no objects.
    pub(crate) fn start(self) -> ApiServer {
        match self {
            Self::Http1 => ApiServer::start(),
            Self::Http2 => ApiServer::start_with_http2(),
            Self::JsonOnly => {
                let server = ApiServer::start();
                server.speak_json();
                server
            }
        }
    }
}

/// Makes three tests of each function that takes an [`Api`].
macro_rules! on_each {
    ($($name:ident),* $(,)?) => {
        mod http1 {
            $(#[test] fn $name() { super::$name(crate::each::Api::Http1); })*
        }
        mod http2 {
            $(#[test] fn $name() { super::$name(crate::each::Api::Http2); })*
        }
        mod json_only {
            $(#[test] fn $name() { super::$name(crate::each::Api::JsonOnly); })*
        }
    };
}

pub(crate) use on_each;
