//! Where plans are carried out.

mod error;
mod guard;
mod guard_tables;
mod memory;

use std::collections::HashSet;
use std::fmt;

pub use error::{KernelError, KernelErrorKind, KernelPart};
pub use guard::Guard;
pub use memory::{Faults, MemoryKernel};

use ipvs_netlink::VirtualServerId;

use crate::observed::{Observed, ServerConnections};
use crate::plan::{Operation, Phase, Plan};

/// A kernel that can be read and changed.
pub trait Kernel {
    /// What it holds now.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if any part of it cannot be read: half an observation would make a wrong plan.
    fn observe(&mut self) -> Result<Observed, KernelError>;

    /// The destinations of some of its virtual servers with their connections, sorted by id. A virtual server that is not
    /// there is left out.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if any of them cannot be read.
    fn connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError>;

    /// Carries out a plan, operation by operation, in its order.
    ///
    /// One that fails does not stop the others, save those that it would leave unsafe (see [`Guard`]).
    /// Nothing is lost: the next plan, made from the state that is then observed, does what is left.
    fn apply(&mut self, plan: &Plan) -> Applied;
}

/// The result of carrying out a plan.
#[derive(Debug, Default)]
#[must_use = "operations may have failed"]
#[non_exhaustive]
pub struct Applied {
    /// How many operations were carried out.
    pub done: usize,
    /// Those that were not.
    pub failures: Vec<Failure>,
}

impl Applied {
    /// A plan of which `done` operations were carried out and none failed.
    pub const fn complete(done: usize) -> Self {
        Self {
            done,
            failures: Vec::new(),
        }
    }

    /// Whether all of it was carried out.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }
}

/// An operation that was not carried out.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure {
    /// Its position in the plan.
    pub index: usize,
    /// What was to be done.
    pub operation: Operation,
    /// Why it was not.
    pub reason: FailureReason,
}

impl Failure {
    /// The failure of the operation at a position of a plan.
    #[must_use]
    pub const fn new(index: usize, operation: Operation, reason: FailureReason) -> Self {
        Self {
            index,
            operation,
            reason,
        }
    }
}

/// Why an operation was not carried out.
#[derive(Debug)]
#[non_exhaustive]
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
            FailureReason::Refused(error) => write!(f, "{}: {error}", self.operation.summary()),
            FailureReason::Skipped { after } => {
                write!(
                    f,
                    "{}: left for the next time, since step {} failed",
                    self.operation.summary(),
                    after + 1
                )
            }
        }
    }
}

/// Carries out a plan with `run`, which does a number of operations in order and gives the result of each.
/// What is unsafe after a failure is skipped.
///
/// `together` decides whether an operation may be handed over along with the one before it: neither may then
/// rest upon the other but in ways that the kernel itself sees to.
///
/// Operations on tables of nf_tables ([`Operation::table`]) that are handed over together are to be one transaction:
/// `run` gives success for all of them, or an error for each. A transaction that is refused is tried again in parts: for
/// each family, and then by halves, if what is refused is about an object of its own.
///
/// Changes of rules that are handed over together may be of later phases too. Those that `run` could not try, since another
/// of them was refused, have [`KernelErrorKind::Unattempted`]: they are handed over again, without it and what rests upon
/// it. Where all have it, they are handed over by halves, until the one is found that is refused.
pub fn carry_out(
    plan: &Plan,
    together: impl Fn(&Operation, &Operation) -> bool,
    run: impl FnMut(&[&Operation]) -> Vec<Result<(), KernelError>>,
) -> Applied {
    let mut way = Way {
        guard: Guard::new(plan),
        applied: Applied::default(),
        failed: HashSet::new(),
        allowed: Vec::new(),
        run,
    };
    let mut rest = plan.iter().enumerate().peekable();
    let mut batch = Vec::new();
    while let Some((_, (phase, first))) = rest.peek().copied() {
        batch.clear();
        let mut last = first;
        while let Some((index, (of, operation))) = rest.peek().copied() {
            let joins = of == phase || stands_alone(operation) || are_rules(last, operation);
            let full = batch.len() >= AT_ONCE && !is_of_transaction(first);
            if full || !(batch.is_empty() || joins && together(last, operation)) {
                break;
            }
            batch.push((index, of, operation));
            last = operation;
            rest.next();
        }
        way.hand_over(&batch);
    }
    let mut applied = way.applied;
    applied.failures.sort_by_key(|failure| failure.index);
    applied
}

/// An operation with its position in the plan and its phase.
type Step<'a> = (usize, Phase, &'a Operation);

/// A plan on its way to a kernel.
struct Way<'a, R> {
    guard: Guard,
    applied: Applied,
    /// The positions of operations that failed.
    failed: HashSet<usize>,
    /// The operations that are handed over.
    allowed: Vec<&'a Operation>,
    run: R,
}

impl<'a, R: FnMut(&[&Operation]) -> Vec<Result<(), KernelError>>> Way<'a, R> {
    /// Hands operations over at once, each with its position and phase.
    fn hand_over(&mut self, batch: &[Step<'a>]) {
        self.allowed.clear();
        for &(index, phase, operation) in batch {
            match self.guard.blocked(phase, operation) {
                Some(after) => {
                    let reason = FailureReason::Skipped { after };
                    self.fail((index, phase, operation), reason);
                }
                None => self.allowed.push(operation),
            }
        }
        let results = (self.run)(&self.allowed);
        if self.allowed.len() > 1 && is_refused_transaction(&self.allowed, &results) {
            // One that the kernel never takes must not stop the others: it is looked for by halves. Nor must one family
            // stop the other.
            let tried = batch.iter().filter(|(index, ..)| !self.has_failed(*index));
            let tried: Vec<_> = tried.copied().collect();
            let other = other_family(&self.allowed).unwrap_or(tried.len() / 2);
            let (first, second) = tried.split_at(other);
            self.hand_over(first);
            self.hand_over(second);
            return;
        }
        let mut results = results.into_iter();
        let alone = self.allowed.len() == 1;
        let mut settled = false;
        let mut unattempted = Vec::new();
        for &(index, phase, operation) in batch {
            if self.has_failed(index) {
                continue;
            }
            match results.next().unwrap_or_else(|| Err(no_result(operation))) {
                Err(error) if error.kind == KernelErrorKind::Unattempted && !alone => {
                    unattempted.push((index, phase, operation));
                    continue;
                }
                Ok(()) => self.applied.done += 1,
                Err(error) => {
                    // Refused for want of what failed just before: that is the failure to report.
                    let reason = match self.guard.blocked(phase, operation) {
                        Some(after) => FailureReason::Skipped { after },
                        None => FailureReason::Refused(error),
                    };
                    self.fail((index, phase, operation), reason);
                }
            }
            settled = true;
        }
        if settled {
            if !unattempted.is_empty() {
                self.hand_over(&unattempted);
            }
        } else {
            let (first, second) = unattempted.split_at(unattempted.len() / 2);
            for half in [first, second] {
                if !half.is_empty() {
                    self.hand_over(half);
                }
            }
        }
    }

    fn fail(&mut self, (index, phase, operation): Step<'_>, reason: FailureReason) {
        self.guard.failed(index, phase, operation);
        self.failed.insert(index);
        self.applied.failures.push(Failure {
            index,
            operation: operation.clone(),
            reason,
        });
    }

    fn has_failed(&self, index: usize) -> bool {
        !self.failed.is_empty() && self.failed.contains(&index)
    }
}

/// Whether these operations were a transaction that the kernel refused for what one of them is about, or perhaps for
/// what one family is about, so that others of them may be carried out without it.
fn is_refused_transaction(operations: &[&Operation], results: &[Result<(), KernelError>]) -> bool {
    let of_object = |result: &Result<(), KernelError>| {
        let kind = result.as_ref().err().map(|error| error.kind);
        kind.is_some_and(|kind| {
            use KernelErrorKind as Kind;
            matches!(
                kind,
                Kind::Exists
                    | Kind::Missing
                    | Kind::Busy
                    | Kind::Full
                    | Kind::Invalid
                    | Kind::Unsupported
            )
        })
    };
    let is_unknown = |result: &Result<(), KernelError>| {
        let kind = result.as_ref().err().map(|error| error.kind);
        kind == Some(KernelErrorKind::Unknown)
    };
    operations
        .first()
        .is_some_and(|first| first.table().is_some())
        && !results.is_empty()
        && results.iter().all(Result::is_err)
        && (results.iter().any(of_object)
            || other_family(operations).is_some() && !results.iter().any(is_unknown))
}

/// The position of the first operation that is on the table of another family than the first.
fn other_family(operations: &[&Operation]) -> Option<usize> {
    let family = operations.first()?.table();
    operations.iter().position(|next| next.table() != family)
}

/// The error of an operation that a kernel gave no result for: it may have been carried out or not.
#[must_use]
pub fn no_result(operation: &Operation) -> KernelError {
    KernelError::new(
        KernelPart::of(operation),
        KernelErrorKind::Unknown,
        "the kernel gave no result: it is not known whether this was carried out",
    )
}

/// Whether both change rules. What one that is refused would leave unsafe is not tried in the same run of the tool.
const fn are_rules(one: &Operation, next: &Operation) -> bool {
    matches!(
        (one, next),
        (Operation::RestoreRules(_), Operation::RestoreRules(_))
    )
}

/// Whether operations like this are handed over in any number, since each time costs what the whole table costs.
fn is_of_transaction(operation: &Operation) -> bool {
    operation.table().is_some() || matches!(operation, Operation::RestoreRules(_))
}

/// How many operations are handed over at once: as many as `netlink-batch` sends in one system call. More would save
/// none, and would cost memory fresh from the kernel.
const AT_ONCE: usize = 1024;

/// Whether an operation may go along with those of an earlier phase: whatever of them fails, it is safe, or the
/// kernel itself refuses it.
const fn stands_alone(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::SetDestination { .. } | Operation::DeleteDestination { .. }
    )
}
