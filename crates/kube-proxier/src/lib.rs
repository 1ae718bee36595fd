//! kube-proxier: the node daemon that takes kube-proxy's place in ipvs mode.
//!
//! # Deliberate differences from kube-proxy
//!
//! In what is programmed: the table in the documentation of `proxier`. In how the daemon behaves, against v1.36:
//!
//! | what | kube-proxy | here | tests |
//! |---|---|---|---|
//! | no mode is set | iptables | ipvs | options: `no_flags_are_kube_proxys_defaults` |
//! | flags without a meaning in ipvs mode | accepted, some refused | accepted with a warning, if they ask for anything | command_line: `a_command_line_of_kube_proxy_is_taken_and_what_it_asks_for_in_vain_is_said` |
//! | the configuration file changes | the process ends, or nothing happens | followed; what needs a restart is logged | daemon: `healing::another_configuration_is_followed` |
//! | a second process on the node | both program the kernel | the second one ends with an error | daemon: `process::a_second_one_stays_out` |
//! | a setting of connection tracking cannot be written | the process ends | a warning with what to do | daemon: `conntrack::what_cannot_be_set_keeps_nothing_from_being_served` |
//! | a list without kind, version or items, or a Status with 200 | an empty cluster | an error; what is known stays | watch: `hostile::what_is_not_the_list_asked_for_changes_nothing` |
//! | an object of another kind in a list or a watch | does not come to pass with typed clients | refused; what is known by its name stays | watch: `hostile::an_item_of_another_kind_is_refused_alone` |
//! | answers in gzip, redirects | all asked for in gzip and unpacked, without a limit; followed | lists alone are asked for in gzip, and unpacked up to the limit of a list; other answers that are compressed are refused with an error; a redirect leads nowhere, and no token along it | watch: `packed::a_bomb_changes_nothing`, `packed::other_codings_are_refused`, `encoded::a_redirect_is_not_followed` |
//! | the API server vanishes without FIN or RST | noticed after 30 s (HTTP/2 pings) | noticed after 20 to 25 s (TCP probes) | watch: `hostile::connections_are_probed_by_the_kernel`; daemon: `outage` |
//! | the API server was away | lists with growing pauses | asks `/readyz` each second and lists once it is ready, spread over a second | watch: `hostile::a_server_that_comes_back_is_noticed_by_its_readiness` |
//! | what others remove or change | repaired at the next full sync | noticed by signs each second, and repaired | daemon: `healing::what_others_removed_is_mended_at_once` |
//! | one operation fails | ends the sync, or is dropped | that one is tried again after 1 s, 2 s, … | daemon: `healing::what_fails_is_retried_and_shows` |
//! | `/healthz` while the kernel refuses something for one object | 200 | 200, with the header `X-Kube-Proxier-Pending-Failures` | health: `what_fails_for_an_object_is_shown_and_never_unhealthy` |
//! | `/healthz` while every sync fails as a whole, and nothing changes | 200 | 503 after twice the sync period | health: `what_keeps_failing_is_unhealthy_after_the_same_time` |
//! | `/livez` while syncs are made but fail | 503 | 200: another process would fail too | http: `health_is_answered_as_kube_proxy_answers` |
//! | `status` in `/healthz` and `/livez` | each family by itself | both families alike, since one sync is of both | http: `health_is_answered_as_kube_proxy_answers` |
//! | a Service that does not get what it claims, or that the kernel refuses | not reported | logged once, an Event on the Service, `kube_proxier_*` metrics | daemon: `refusals::are_of_no_concern_to_other_objects` |
//! | `/` on the metrics address | 404 | a page of what is served: plain HTML, no scripts; all other paths are as they were | page: `it_shows_what_is_served_and_what_is_not`, `nothing_but_its_own_style_is_allowed` |
//! | traffic of Services in `/metrics` | not there | `kube_proxier_service_*`, for a limited number of Service ports | daemon: `traffic::is_counted_by_service_port` |
//! | clients of the HTTP servers | no limits | time limits, and limits of connections each and in all | http: `clients_that_do_not_ask_keep_nobody_from_being_answered` |
//! | `--cleanup` | flushes all virtual servers | removes what is the proxy's own | daemon: `process::cleans_up` |
//! | a tool that hangs, from the start on too | everything waits | its own rules wait; it is killed after 10 s | daemon: `hanging` |
mod cluster;
pub mod config;
mod conntrack;
pub mod daemon;
pub mod doctor;
mod event;
pub mod explain;
mod fallback;
mod guard;
pub mod health;
pub mod heap;
mod http;
mod inquiry;
mod instance;
pub mod layout;
mod links;
mod local_ports;
pub mod logging;
mod machine;
pub mod metrics;
mod notices;
pub mod options;
mod page;
mod process;
pub mod service_health;
mod status;
mod stop;
pub mod sync;
pub mod top;
mod traffic;
pub mod watch;

pub use cluster::ClusterError;
pub use event::Event;
pub use http::Connections;
pub use inquiry::Inquiry;
pub use instance::{Instance, InstanceError};
pub use machine::{Machine, SwitchError, ThisMachine};
pub use stop::Stop;
