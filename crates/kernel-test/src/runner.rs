//! Decides where a test runs, and has it run there.

use std::env::VarError;
use std::iter;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use crate::error::Error;
use crate::guest::Guest;
use crate::report::Outcome;
use crate::{Needs, machine, packages, process};

/// Environment: skip all kernel tests.
const SKIP: &str = "PROXIER_SKIP_KERNEL_TESTS";
/// Environment: `guest` or `here`.
const IN: &str = "PROXIER_KERNEL_TESTS_IN";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Here,
    Guest,
}

/// Runs tests; owns the guests. One is booted for the first test that needs it, another where a test would have to wait.
#[derive(Debug)]
pub(crate) struct Runner {
    /// The user's choice for tests that need IPVS.
    chosen: Option<Place>,
    ipvs_here: OnceLock<bool>,
    /// Of each guest, in MiB.
    memory: u64,
    guest: Mutex<GuestState>,
    more_guests: Vec<Mutex<GuestState>>,
}

#[derive(Debug, Default)]
enum GuestState {
    #[default]
    Off,
    Running(Guest),
    /// It did not boot, and would not the next time.
    Broken(String),
}

impl Runner {
    /// One that does as the environment says; `Err` holds what is wrong there. There are at most so many guests, and each
    /// gets so many MiB of memory.
    pub(crate) fn new(guests: usize, memory: u64) -> Result<Self, String> {
        let chosen = match std::env::var(IN).as_deref() {
            Ok("here") => Some(Place::Here),
            Ok("guest") => Some(Place::Guest),
            Ok("") | Err(VarError::NotPresent) => None,
            other => return Err(format!("{IN} is {other:?}: expected `guest` or `here`")),
        };
        Ok(Self {
            chosen,
            ipvs_here: OnceLock::new(),
            memory,
            guest: Mutex::default(),
            more_guests: (1..guests).map(|_| Mutex::default()).collect(),
        })
    }

    /// Why no test is to be run, if so.
    pub(crate) fn skip_reason() -> Option<String> {
        let value = std::env::var_os(SKIP)?;
        (!value.is_empty() && value != "0").then(|| format!("{SKIP} is set"))
    }

    /// Runs a test. `Err` means that it could not be run, or not to its end.
    pub(crate) fn run(
        &self,
        name: &str,
        needs: Needs,
        time_limit: Duration,
    ) -> Result<Outcome, Error> {
        match self.place(needs) {
            Place::Here => {
                packages::install_tools();
                process::run_here(name, time_limit)
            }
            Place::Guest => self.run_in_guest(name, time_limit),
        }
    }

    fn place(&self, needs: Needs) -> Place {
        if needs == Needs::NetNamespace || machine::is_guest() {
            return Place::Here;
        }
        self.chosen.unwrap_or_else(|| {
            if *self.ipvs_here.get_or_init(machine::has_ipvs) {
                Place::Here
            } else {
                Place::Guest
            }
        })
    }

    fn run_in_guest(&self, name: &str, time_limit: Duration) -> Result<Outcome, Error> {
        let mut state = self.free_guest();
        if let GuestState::Off = *state {
            let guests = 1 + self.more_guests.len() as u64;
            let room = self.memory.saturating_mul(guests);
            *state = match packages::guest_kernel()
                .and_then(|kernel| Guest::boot(&kernel, self.memory, room))
            {
                Ok(guest) => GuestState::Running(guest),
                Err(error) => {
                    let text = error.to_string();
                    let first = text.lines().next().unwrap_or_default();
                    *state = GuestState::Broken(format!("{first} (see the first failure)"));
                    return Err(error);
                }
            };
        }
        match &mut *state {
            GuestState::Running(guest) => {
                let result = guest.run(name, time_limit);
                if result.is_err() && !guest.is_fit() {
                    // The next test gets a new one.
                    *state = GuestState::Off;
                }
                result
            }
            GuestState::Broken(why) => Ok(Err(why.clone())),
            GuestState::Off => Ok(Err("there is no guest".to_owned())),
        }
    }

    /// One that runs no test: rather one that is there than one that has to be booted, so that tests that are run one at a
    /// time all get the same.
    fn free_guest(&self) -> MutexGuard<'_, GuestState> {
        let free = || {
            let guests = iter::once(&self.guest).chain(&self.more_guests);
            guests.filter_map(|guest| match guest.try_lock() {
                Ok(state) => Some(state),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            })
        };
        free()
            .find(|state| !matches!(**state, GuestState::Off))
            .or_else(|| free().next())
            .unwrap_or_else(|| self.guest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
