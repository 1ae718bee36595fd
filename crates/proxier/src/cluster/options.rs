//! What annotations ask of the proxy, beyond the fields of the Kubernetes API.

use ipvs_netlink::{Scheduler, SchedulerFlags, ServiceFlags};

/// Keys of annotations.
pub mod annotation {
    /// Of a Service: the scheduler of its virtual servers.
    pub const SCHEDULER: &str = "kube-proxier/scheduler";
    /// Of a Service: flags of that scheduler.
    pub const SCHEDULER_FLAGS: &str = "kube-proxier/scheduler-flags";
    /// The same as [`SCHEDULER`], as kube-router calls it.
    pub const KUBE_ROUTER_SCHEDULER: &str = "kube-router.io/service.scheduler";
    /// The same as [`SCHEDULER_FLAGS`], as kube-router calls it.
    pub const KUBE_ROUTER_SCHEDULER_FLAGS: &str = "kube-router.io/service.schedflags";

    /// All that are read.
    pub const ALL: [&str; 4] = [
        SCHEDULER,
        SCHEDULER_FLAGS,
        KUBE_ROUTER_SCHEDULER,
        KUBE_ROUTER_SCHEDULER_FLAGS,
    ];
}

/// What a Service asks for by annotations. `docs/services.md` describes each option.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// The scheduler of its virtual servers, in place of the configured one.
    pub scheduler: Option<Scheduler>,
    /// Flags of that scheduler, some of [`ServiceFlags::SCHEDULER`], in place of the default ones. Without
    /// `scheduler` they have no effect.
    pub scheduler_flags: Option<ServiceFlags>,
}

/// One of the options that a Service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ServiceOption {
    /// [`ServiceOptions::scheduler`].
    Scheduler,
    /// [`ServiceOptions::scheduler_flags`].
    SchedulerFlags,
}

impl ServiceOption {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Scheduler, Self::SchedulerFlags];

    /// The key of its annotation.
    #[must_use]
    pub const fn annotation(self) -> &'static str {
        match self {
            Self::Scheduler => annotation::SCHEDULER,
            Self::SchedulerFlags => annotation::SCHEDULER_FLAGS,
        }
    }

    /// Its name: the key of its annotation without the prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        let key = self.annotation();
        key.split_once('/').map_or(key, |(_, name)| name)
    }
}

impl ServiceOptions {
    /// The value of an option as its annotation has it; `None` where it is not asked for.
    #[must_use]
    pub fn value(&self, option: ServiceOption) -> Option<String> {
        match option {
            ServiceOption::Scheduler => self.scheduler.map(|scheduler| scheduler.to_string()),
            ServiceOption::SchedulerFlags => {
                let (scheduler, flags) = (self.scheduler?, self.scheduler_flags?);
                let names = SchedulerFlags { scheduler, flags }.to_string();
                Some(if names.is_empty() {
                    "none".to_owned()
                } else {
                    names
                })
            }
        }
    }

    /// The options that are asked for, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceOption, String)> {
        let all = ServiceOption::ALL.into_iter();
        all.filter_map(|option| Some((option, self.value(option)?)))
    }
}
