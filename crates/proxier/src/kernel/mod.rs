//! Where plans are carried out.

mod error;
mod guard;
mod memory;

use std::fmt;

pub use error::KernelError;
pub use guard::Guard;
pub use memory::{Faults, MemoryKernel};

use crate::observed::Observed;
use crate::plan::{Operation, Plan};

/// A kernel that can be looked at and changed.
pub trait Kernel {
    /// What it holds now.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if any part of it cannot be read: half an observation would make a wrong plan.
    fn observe(&mut self) -> Result<Observed, KernelError>;

    /// Carries out a plan, operation by operation, in its order.
    ///
    /// One that fails does not stop the others, save those that it would leave unsafe (see [`Guard`]).
    /// Nothing is lost: the next plan, made from the state that is then observed, does what is left.
    fn apply(&mut self, plan: &Plan) -> Applied;
}

/// What became of a plan.
#[derive(Debug, Default)]
#[must_use = "operations may have failed"]
pub struct Applied {
    /// How many operations were carried out.
    pub done: usize,
    /// Those that were not.
    pub failures: Vec<Failure>,
}

impl Applied {
    /// Whether all of it was carried out.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

/// An operation that was not carried out.
#[derive(Debug)]
pub struct Failure {
    /// Its position in the plan.
    pub index: usize,
    /// What was to be done.
    pub operation: Operation,
    /// Why it was not.
    pub reason: FailureReason,
}

/// Why an operation was not carried out.
#[derive(Debug)]
pub enum FailureReason {
    /// The kernel refused.
    Refused(KernelError),
    /// It was not tried, since the operation at this position failed and it would have been unsafe without.
    Skipped {
        /// The position in the plan.
        after: usize,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            FailureReason::Refused(error) => write!(f, "{}: {error}", self.operation),
            FailureReason::Skipped { after } => {
                write!(
                    f,
                    "{}: left for the next time, since step {} failed",
                    self.operation,
                    after + 1
                )
            }
        }
    }
}

/// Carries out a plan with `each`, which does one operation, skipping what is unsafe after a failure.
pub fn carry_out(
    plan: &Plan,
    mut each: impl FnMut(&Operation) -> Result<(), KernelError>,
) -> Applied {
    let mut applied = Applied::default();
    let mut guard = Guard::new(plan);
    for (index, (phase, operation)) in plan.iter().enumerate() {
        let reason = match guard.blocked(phase, operation) {
            Some(after) => FailureReason::Skipped { after },
            None => match each(operation) {
                Ok(()) => {
                    applied.done += 1;
                    continue;
                }
                Err(error) => FailureReason::Refused(error),
            },
        };
        guard.failed(index, phase, operation);
        applied.failures.push(Failure {
            index,
            operation: operation.clone(),
            reason,
        });
    }
    applied
}
