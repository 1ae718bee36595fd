//! Decides where a test runs, and runs it there.

use std::env::VarError;
use std::iter;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use crate::error::Error;
use crate::guest::{Clock, Guest, GuestKernel};
use crate::link::{self, Companion};
use crate::report::Outcome;
use crate::{Needs, machine, packages, process};

/// Environment: skip all kernel tests.
const SKIP: &str = "PROXIER_SKIP_KERNEL_TESTS";
/// Environment: `guest`, `debian` or `here`.
const IN: &str = "PROXIER_KERNEL_TESTS_IN";

/// How many times as long a test may take on an emulated machine.
const SLOWNESS: u32 = 5;
/// The least memory of a guest with Debian's kernel, in MiB.
const DEBIAN_MEMORY: u64 = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Location {
    Host,
    /// User Mode Linux.
    Guest,
    /// Debian's kernel in QEMU.
    Debian,
}

/// Runs tests and owns the guests.
#[derive(Debug)]
pub(crate) struct Runner {
    /// The user's choice for tests that need IPVS.
    chosen: Option<Location>,
    host_has_ipvs: OnceLock<bool>,
    guests: Guests,
    debian_guests: Guests,
}

/// The guests of one kind. The first test that needs one boots it; a test that would have to wait for a
/// guest boots another.
#[derive(Debug)]
struct Guests {
    kernel: fn() -> Result<GuestKernel, Error>,
    /// Of each guest, in MiB.
    memory: u64,
    /// Of emulated machines.
    clock: Clock,
    first: Mutex<GuestState>,
    more: Vec<Mutex<GuestState>>,
}

#[derive(Debug, Default)]
enum GuestState {
    #[default]
    Off,
    Running(Guest),
    /// It did not boot; the next attempt would fail too.
    Broken(String),
}

impl Runner {
    /// A runner set up from the environment, with at most `guests` guests of `memory` MiB each, and as many
    /// with Debian's kernel: those have two processors, but a test seldom uses both.
    ///
    /// # Errors
    /// A text, if an environment variable is invalid.
    pub(crate) fn new(guests: usize, memory: u64) -> Result<Self, String> {
        let chosen = match std::env::var(IN).as_deref() {
            Ok("here") => Some(Location::Host),
            Ok("guest") => Some(Location::Guest),
            Ok("debian") => Some(Location::Debian),
            Ok("") | Err(VarError::NotPresent) => None,
            other => {
                return Err(format!(
                    "{IN} is {other:?}: expected `guest` or `here`, or `debian`"
                ));
            }
        };
        let clock = Clock::from_environment()?;
        let debian_memory = memory.max(DEBIAN_MEMORY);
        Ok(Self {
            chosen,
            host_has_ipvs: OnceLock::new(),
            guests: Guests::new(packages::guest_kernel, guests, memory, clock),
            debian_guests: Guests::new(packages::debian_kernel, guests, debian_memory, clock),
        })
    }

    /// The same, but the clock of guests with Debian's kernel counts instructions.
    pub(crate) fn counting_instructions(mut self) -> Self {
        self.debian_guests.clock = Clock::Instructions;
        self
    }

    /// The reason to skip all tests, if there is one.
    pub(crate) fn skip_reason() -> Option<String> {
        let value = std::env::var_os(SKIP)?;
        (!value.is_empty() && value != "0").then(|| format!("{SKIP} is set"))
    }

    /// Runs a test.
    ///
    /// # Errors
    /// [`Error`] if it could not be run to its end.
    pub(crate) fn run(
        &self,
        name: &str,
        needs: Needs,
        time_limit: Duration,
    ) -> Result<Outcome, Error> {
        match self.location(needs) {
            Location::Host => {
                packages::check_tools()?;
                process::run_on_host(name, time_limit)
            }
            Location::Guest => self.guests.run(name, time_limit),
            Location::Debian => {
                let time_limit = time_limit.saturating_mul(SLOWNESS);
                self.debian_guests.run(name, time_limit)
            }
        }
    }

    /// Runs a test in a guest of its own, beside what runs on this machine.
    ///
    /// # Errors
    /// [`Error`] if it could not be run to its end.
    pub(crate) fn run_beside(
        &self,
        name: &str,
        time_limit: Duration,
        companion: &Companion,
    ) -> Result<Outcome, Error> {
        let kernel = (self.guests.kernel)()?;
        let end = link::End::new()?;
        let _companion = end.run(|| companion());
        let (memory, clock) = (self.guests.memory, self.guests.clock);
        let boot = || Guest::boot(&kernel, 0, memory, memory, clock, true);
        end.run(boot)?.run(name, time_limit)
    }

    fn location(&self, needs: Needs) -> Location {
        if needs == Needs::NetNamespace || machine::is_guest() {
            return Location::Host;
        }
        match (needs, self.chosen) {
            (Needs::NfTables, Some(Location::Debian)) => return Location::Debian,
            (Needs::NfTables, _) | (Needs::Debian, Some(Location::Host)) => return Location::Host,
            (Needs::Debian, _) => return Location::Debian,
            (Needs::OwnKernel, None) => return Location::Guest,
            _ => {}
        }
        self.chosen.unwrap_or_else(|| {
            if *self.host_has_ipvs.get_or_init(machine::has_ipvs) {
                Location::Host
            } else {
                Location::Guest
            }
        })
    }
}

impl Guests {
    /// At most this many guests, but at least one.
    fn new(
        kernel: fn() -> Result<GuestKernel, Error>,
        number: usize,
        memory: u64,
        clock: Clock,
    ) -> Self {
        Self {
            kernel,
            memory,
            clock,
            first: Mutex::default(),
            more: (1..number).map(|_| Mutex::default()).collect(),
        }
    }

    fn run(&self, name: &str, time_limit: Duration) -> Result<Outcome, Error> {
        let (place, mut state) = self.free();
        if let GuestState::Off = *state {
            let guests = 1 + self.more.len() as u64;
            let room = self.memory.saturating_mul(guests);
            let boot = |kernel: GuestKernel| {
                let (memory, clock) = (self.memory, self.clock);
                Guest::boot(&kernel, place, memory, room, clock, false)
            };
            *state = match (self.kernel)().and_then(boot) {
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
                if result.is_err() && !guest.is_usable() {
                    // The next test gets a new one.
                    *state = GuestState::Off;
                }
                result
            }
            GuestState::Broken(why) => Ok(Err(why.clone())),
            GuestState::Off => Ok(Err("there is no guest".to_owned())),
        }
    }

    /// A guest that runs no test, and its place among the others: a booted one if possible, so that tests that run one at a
    /// time share one guest.
    fn free(&self) -> (usize, MutexGuard<'_, GuestState>) {
        let free = || {
            let guests = iter::once(&self.first).chain(&self.more).enumerate();
            guests.filter_map(|(place, guest)| match guest.try_lock() {
                Ok(state) => Some((place, state)),
                Err(TryLockError::Poisoned(poisoned)) => Some((place, poisoned.into_inner())),
                Err(TryLockError::WouldBlock) => None,
            })
        };
        let first = || self.first.lock().unwrap_or_else(PoisonError::into_inner);
        free()
            .find(|(_, state)| !matches!(**state, GuestState::Off))
            .or_else(|| free().next())
            .unwrap_or_else(|| (0, first()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_a_kernel_of_its_own_gets_none_of_this_machine() {
        let location = |needs, chosen| {
            let mut runner = Runner::new(1, 64).unwrap();
            runner.chosen = chosen;
            // As if this process were root, where there is IPVS.
            runner.host_has_ipvs = OnceLock::from(true);
            runner.location(needs)
        };
        assert_eq!(location(Needs::Ipvs, None), Location::Host);
        assert_eq!(location(Needs::OwnKernel, None), Location::Guest);
        for chosen in [Location::Host, Location::Guest, Location::Debian] {
            for needs in [Needs::Ipvs, Needs::OwnKernel] {
                assert_eq!(location(needs, Some(chosen)), chosen);
            }
        }
    }
}
