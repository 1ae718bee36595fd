//! Changes after a quiet time, and what follows them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// So long that no full sync is due.
const MAX: Duration = Duration::from_secs(1 << 20);

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Just after a full sync at `start`.
fn running(start: Instant, min: Duration) -> Schedule {
    let mut schedule = Schedule::new(min, MAX, start);
    schedule.done(Task::Full, start, start, true, false);
    schedule
}

/// Does what is due at `began`, which takes so long.
fn sync(schedule: &mut Schedule, began: Instant, took: Duration) {
    assert_eq!(schedule.due(began), Some(Task::Changes));
    schedule.done(Task::Changes, began, began + took, true, false);
}

#[test]
fn a_change_after_a_quiet_time_is_carried_out_immediately() {
    let start = Instant::now();
    for min in [5, 10, 200, 1000] {
        let mut schedule = running(start, millis(min));
        // A Service, and its EndpointSlice a millisecond after it.
        let change = start + millis(2000);
        assert!(schedule.changed(change));
        sync(&mut schedule, change, Duration::ZERO);
        assert!(schedule.changed(change + millis(1)));
        assert!(!schedule.changed(change + millis(4)));
        assert_eq!(schedule.next(), change + GATHER);
        sync(&mut schedule, change + GATHER, millis(1));
        // What comes then is gathered, and keeps its distance.
        let next = change + GATHER + millis(2);
        schedule.changed(next);
        let spaced = (next + GATHER).max(change + GATHER + millis(min));
        assert_eq!(schedule.next(), spaced, "{min}");
    }
}

#[test]
fn a_start_is_not_a_quiet_time() {
    let start = Instant::now();
    let mut schedule = Schedule::new(millis(1000), MAX, start);
    schedule.changed(start + millis(50));
    let listed = start + millis(60);
    assert_eq!(schedule.due(listed), Some(Task::Full));
    schedule.done(Task::Full, listed, listed, true, false);
    schedule.changed(listed + millis(1));
    assert_eq!(schedule.next(), listed + millis(1000));
}

#[test]
fn a_pair_of_syncs_is_saved_up_for() {
    let start = Instant::now();
    let min = millis(200);
    let mut schedule = running(start, min);
    // The least time between two syncs has passed, and not twice that time.
    let early = start + millis(399);
    schedule.changed(early);
    assert_eq!(schedule.next(), early + GATHER);
    sync(&mut schedule, early + GATHER, Duration::ZERO);
    let quiet = early + GATHER + 2 * min;
    schedule.changed(quiet);
    assert_eq!(schedule.next(), quiet);
}

#[test]
fn an_immediate_sync_without_a_follower_is_the_last_one() {
    let start = Instant::now();
    let mut schedule = running(start, GATHER);
    let change = start + millis(50);
    schedule.changed(change);
    sync(&mut schedule, change, millis(1));
    assert_eq!(schedule.next(), start + MAX);
    // Long after it, a change is the first one of a burst again.
    let later = change + millis(40);
    schedule.changed(later);
    sync(&mut schedule, later, millis(1));
    schedule.changed(later + millis(2));
    assert_eq!(schedule.next(), later + GATHER);
}

/// Where a sync takes long, what comes during an immediate one would wait for two.
#[test]
fn where_syncs_are_slow_changes_are_gathered() {
    let start = Instant::now();
    let mut schedule = running(start, millis(1000));
    let change = start + millis(5000);
    schedule.changed(change);
    sync(&mut schedule, change, millis(300));
    // It was not known to be slow. What came meanwhile does not wait for the least time between two syncs.
    let received = change + millis(300);
    schedule.changed(received);
    assert_eq!(schedule.next(), received + GATHER);
    sync(&mut schedule, received + GATHER, millis(300));
    let next = start + millis(10_000);
    schedule.changed(next);
    assert_eq!(schedule.next(), next + GATHER);
    sync(&mut schedule, next + GATHER, millis(3));
    let quick = start + millis(15_000);
    schedule.changed(quick);
    assert_eq!(schedule.next(), quick);
}

/// Who asks for short times between syncs does not wait longer for more changes than half a sync takes.
#[test]
fn where_syncs_may_follow_each_other_changes_are_gathered_for_half_as_long_as_one_takes() {
    let gathered_after = |min, took| {
        let start = Instant::now();
        let mut schedule = running(start, min);
        let change = start + millis(5000);
        schedule.changed(change);
        sync(&mut schedule, change, took);
        let next = change + took + GATHER_LEAST / 2;
        schedule.changed(next);
        let follower = schedule.next();
        sync(&mut schedule, follower, took);
        // This one follows no immediate sync.
        let last = follower + took;
        schedule.changed(last);
        schedule.next() - last
    };
    assert_eq!(gathered_after(millis(1), millis(4)), millis(2));
    assert_eq!(gathered_after(millis(0), Duration::ZERO), GATHER_LEAST);
    assert_eq!(gathered_after(millis(1), millis(300)), GATHER);
    // The least time between two syncs, from when the last one began, is kept.
    assert_eq!(gathered_after(millis(4), millis(1)), millis(3));
    assert_eq!(gathered_after(GATHER, millis(4)), GATHER);
}

/// Neither waits for the other, and after a full sync everything is as ever.
#[test]
fn a_full_sync_ends_the_time_in_which_what_follows_is_gathered() {
    let start = Instant::now();
    for min in [5, 200] {
        let mut schedule = running(start, millis(min));
        let change = start + millis(500);
        schedule.changed(change);
        sync(&mut schedule, change, millis(1));
        let full = change + millis(3);
        schedule.want_full(full);
        assert_eq!(schedule.due(full), Some(Task::Full));
        schedule.done(Task::Full, full, full, true, false);
        let next = change + millis(5);
        schedule.changed(next);
        let spaced = (next + GATHER).max(full + millis(min));
        assert_eq!(schedule.next(), spaced, "{min}");
    }
}

/// Where a full sync is due as well, the change does not begin a burst.
#[test]
fn a_full_sync_is_not_immediate() {
    let start = Instant::now();
    let min = millis(200);
    let mut schedule = running(start, min);
    let change = start + millis(500);
    schedule.want_full(change);
    schedule.changed(change);
    assert_eq!(schedule.due(change), Some(Task::Full));
    schedule.done(Task::Full, change, change, true, false);
    schedule.changed(change + millis(1));
    assert_eq!(schedule.next(), change + min);
}

/// When syncs are made: ours, or the rule without immediate ones.
trait Rule {
    fn changed(&mut self, now: Instant);
    fn next(&self) -> Option<Instant>;
    fn done(&mut self, began: Instant, ended: Instant);
}

struct Ours {
    schedule: Schedule,
    pending: bool,
}

impl Rule for Ours {
    fn changed(&mut self, now: Instant) {
        self.schedule.changed(now);
        self.pending = true;
    }

    fn next(&self) -> Option<Instant> {
        self.pending.then(|| self.schedule.next())
    }

    fn done(&mut self, began: Instant, ended: Instant) {
        sync(&mut self.schedule, began, ended - began);
        self.pending = false;
    }
}

/// Each change is gathered with those of the [`GATHER`] after it.
struct Gathering {
    min: Duration,
    changed: Option<Instant>,
    last: Instant,
}

impl Rule for Gathering {
    fn changed(&mut self, now: Instant) {
        self.changed.get_or_insert(now);
    }

    fn next(&self) -> Option<Instant> {
        Some((self.changed? + GATHER).max(self.last + self.min))
    }

    fn done(&mut self, began: Instant, _ended: Instant) {
        (self.changed, self.last) = (None, began);
    }
}

/// When each sync began, and when the one of each change did.
fn run(mut rule: impl Rule, changes: &[Instant], took: Duration) -> (Vec<Instant>, Vec<Instant>) {
    let (mut syncs, mut carried_out) = (Vec::new(), Vec::new());
    let mut changes = changes.iter().copied().peekable();
    let mut free = None;
    let mut taken = 0;
    loop {
        let change = changes.peek().map(|at| Some(*at).max(free).unwrap_or(*at));
        match (change, rule.next()) {
            (None, None) => return (syncs, carried_out),
            (Some(now), next) if next.is_none_or(|next| now <= next) => {
                changes.next();
                rule.changed(now);
                taken += 1;
            }
            (_, Some(next)) => {
                let began = Some(next).max(free).unwrap_or(next);
                rule.done(began, began + took);
                free = Some(began + took);
                syncs.push(began);
                carried_out.resize(taken, began);
            }
            (Some(_), None) => unreachable!("taken above"),
        }
    }
}

/// When changes come that have these times between them.
fn with_gaps(start: Instant, gaps: &[u64]) -> Vec<Instant> {
    let mut now = start;
    let change = |gap: &u64| {
        now += millis(*gap);
        now
    };
    gaps.iter().map(change).collect()
}

fn both(min: Duration, gaps: &[u64], took: Duration) -> [(Vec<Instant>, Vec<Instant>); 2] {
    let start = Instant::now();
    let changes = with_gaps(start, gaps);
    let gathering = Gathering {
        min,
        changed: None,
        last: start,
    };
    let ours = Ours {
        schedule: running(start, min),
        pending: false,
    };
    [run(ours, &changes, took), run(gathering, &changes, took)]
}

/// Times between changes: of a burst, about [`GATHER`], about the least times between syncs.
fn gaps() -> impl Strategy<Value = Vec<u64>> {
    vec(
        prop_oneof![4 => 0..4_u64, 2 => 5..25_u64, 1 => 150..450_u64, 1 => 900..2200_u64],
        1..80,
    )
}

fn least() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(5), Just(10), Just(15), Just(200), Just(1000)].prop_map(millis)
}

proptest! {
    /// Where a sync takes no time at all.
    #[test]
    fn no_change_waits_longer_than_if_all_were_gathered(min in least(), gaps in gaps()) {
        let [(syncs, ours), (gathered, theirs)] = both(min, &gaps, Duration::ZERO);
        prop_assert_eq!(ours.len(), gaps.len());
        for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            prop_assert!(ours <= theirs, "change {}", n);
        }
        // A quiet time costs one sync at the most.
        let quiet = gaps.iter().filter(|gap| millis(**gap) >= GATHER.max(min)).count();
        prop_assert!(syncs.len() <= gathered.len() + quiet);
    }

    /// With less time between two syncs than changes are gathered otherwise.
    #[test]
    fn no_change_waits_much_longer_for_others_than_a_sync_takes(
        min in 0..5_u64,
        gaps in gaps(),
        took in 0..30_u64,
    ) {
        let start = Instant::now();
        let (min, took) = (millis(min), millis(took));
        let changes = with_gaps(start, &gaps);
        let ours = Ours { schedule: running(start, min), pending: false };
        let (syncs, carried_out) = run(ours, &changes, took);
        let gather = (took / 2).clamp(GATHER_LEAST, GATHER);
        for (change, began) in changes.iter().zip(&carried_out) {
            // The sync that was being made, what changes are gathered for, and the least time between two syncs.
            prop_assert!(*began - *change <= took + gather.max(min), "{:?}", *began - *change);
        }
        for pair in syncs.windows(2) {
            prop_assert!(pair[1] - pair[0] >= took.max(GATHER_LEAST));
        }
        for three in syncs.windows(3) {
            prop_assert!(three[2] - three[0] >= min);
        }
    }

    #[test]
    fn syncs_are_bounded_in_any_burst(min in least(), gaps in gaps(), took in 0..30_u64) {
        let [(syncs, ours), _] = both(min, &gaps, millis(took));
        prop_assert_eq!(ours.len(), gaps.len());
        for pair in syncs.windows(2) {
            prop_assert!(pair[1] - pair[0] >= GATHER);
        }
        for three in syncs.windows(3) {
            prop_assert!(three[2] - three[0] >= min);
        }
        for (n, first) in syncs.iter().enumerate() {
            for (more, last) in syncs[n..].iter().enumerate() {
                // The sync that an immediate one is followed by.
                let allowed = (*last - *first + GATHER + min).as_millis();
                prop_assert!((more as u128) * min.as_millis() <= allowed);
            }
        }
    }
}
