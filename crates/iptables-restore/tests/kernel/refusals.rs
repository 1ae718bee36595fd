//! Edits that iptables-restore refuses, and how it puts it.

use iptables_restore::{InvalidEdit, Match, RejectReason, Rule, TableEdits, Word};

use RejectReason as R;

/// What [`all`] is about: a chain with a rule, and one that is jumped to.
pub(crate) const BEFORE: &str =
    "*nat\n:FULL - [0:0]\n-A FULL -j RETURN\n:USED - [0:0]\n-A OUTPUT -j USED\nCOMMIT\n";

/// Edits of the nat table of which one is refused.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) edits: Edits,
    /// Place of the edit that is refused.
    pub(crate) place: usize,
    /// What the legacy tool gives as the reason; none if it says nothing but "failed".
    pub(crate) legacy: Option<R>,
    /// What the tool of nft gives.
    pub(crate) nft: R,
}

pub(crate) type Edits = fn(&mut TableEdits) -> Result<&mut TableEdits, InvalidEdit>;

pub(crate) fn kernel(operation: &str, error: &str, object: &str) -> R {
    R::Kernel {
        operation: operation.to_owned(),
        error: error.to_owned(),
        object: object.to_owned(),
    }
}

pub(crate) fn all() -> Vec<Case> {
    let other = |text: &str| R::Other(text.to_owned());
    let silent = |name, place, nft, edits| Case {
        name,
        edits,
        place,
        legacy: None,
        nft,
    };
    let both = |name, place, reason: R, edits| Case {
        name,
        edits,
        place,
        legacy: Some(reason.clone()),
        nft: reason,
    };
    let missing = || other("No chain/target/match by that name");
    let busy = |chain: &str| kernel("CHAIN_DEL", "Device or resource busy", chain);
    let target = || R::NoSuchTarget("NOPE".to_owned());
    let bad_rule = other("Bad rule (does a matching rule exist in that chain?)");
    let gone = kernel(
        "RULE_DELETE",
        "No such file or directory",
        "rule in chain FULL",
    );
    let builtin = kernel(
        "RULE_APPEND",
        "Operation not supported",
        "rule in chain FULL",
    );
    let drop = other(
        "The \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.",
    );
    vec![
        silent("rule for a missing chain", 0, missing(), |t| {
            t.append("NOPE", Rule::new())
        }),
        silent("missing rule", 1, bad_rule, |t| {
            t.declare_chain("X")?.delete("FULL", Rule::new())
        }),
        silent("rule that is gone by then", 1, gone, |t| {
            t.declare_chain("FULL")?
                .delete("FULL", Rule::new().jump("RETURN"))
        }),
        silent("chain with a rule", 0, busy("chain FULL"), |t| {
            t.delete_chain("FULL")
        }),
        silent("chain jumped to", 1, busy("chain USED"), |t| {
            t.declare_chain("X")?.delete_chain("USED")
        }),
        silent("built-in chain", 0, busy("chain OUTPUT"), |t| {
            t.delete_chain("OUTPUT")
        }),
        silent("missing chain", 0, missing(), |t| t.delete_chain("NOPE")),
        silent("flush of a missing chain", 0, missing(), |t| {
            t.flush("NOPE")
        }),
        silent("position", 0, other("Index of insertion too big"), |t| {
            t.insert("FULL", 3, Rule::new())
        }),
        silent("jump to a built-in chain", 0, builtin, |t| {
            t.append("FULL", Rule::new().jump("OUTPUT"))
        }),
        both("missing target", 1, target(), |t| {
            t.declare_chain("X")?
                .append("X", Rule::new().jump("NOPE"))?
                .append("X", Rule::new())
        }),
        both("missing goto", 0, target(), |t| {
            t.append("FULL", Rule::new().goto("NOPE"))
        }),
        both("missing set", 0, R::NoSuchSet("NOPE".to_owned()), |t| {
            t.append("FULL", Rule::new().match_set("NOPE", "dst"))
        }),
        both(
            "unknown match",
            0,
            R::NoSuchMatch("bogus".to_owned()),
            |t| t.append("FULL", Rule::new().matching(Match::new("bogus", []))),
        ),
        both(
            "unknown option",
            0,
            other("unknown option \"--bogus\""),
            |t| {
                t.append(
                    "FULL",
                    Rule::new().matching(Match::new("comment", [Word::from("--bogus")])),
                )
            },
        ),
        both("drop", 0, drop, |t| {
            t.append("FULL", Rule::new().jump("DROP"))
        }),
    ]
}
