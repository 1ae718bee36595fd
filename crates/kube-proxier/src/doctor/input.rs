//! Chains of others that refuse packets to Services on their way in.
//!
//! IPVS takes packets at the end of the INPUT hook, so every base chain there is asked first. The daemon's own rules let
//! traffic for Services pass the table that they are in; a chain in another table, firewalld's or the administrator's, is for
//! whoever made it to open.

use iptables_restore::{BackendRules, Policy, TableName};
use serde_json::Value;

use super::command::printed;
use super::{Check, Verdict};

const NAME: &str = "input";

/// Looks at the tables of the iptables back ends that are not in use, and at those of nft.
pub(super) fn checks<'a>(surveys: impl Iterator<Item = &'a [BackendRules]>) -> Vec<Check> {
    let mut checks: Vec<_> = surveys.flat_map(other_back_ends).collect();
    match nft_ruleset() {
        Ok(ruleset) => checks.extend(of_nft(&ruleset)),
        Err(why) => checks.push(Check::works(
            NAME,
            format!("chains of nft were not looked at: {why}"),
        )),
    }
    if checks.is_empty() {
        checks.push(Check::works(
            NAME,
            "no chain of others refuses all by default",
        ));
    }
    checks
}

fn other_back_ends(found: &[BackendRules]) -> Vec<Check> {
    let unused = found.iter().skip(1);
    let dropping = unused.filter(|BackendRules { rules, .. }| {
        let filter = rules
            .as_ref()
            .ok()
            .and_then(|rules| rules.table(&TableName::Filter));
        let input = filter.and_then(|filter| filter.chain("INPUT"));
        input.is_some_and(|input| input.policy == Some(Policy::Drop))
    });
    let check = |BackendRules { tools, .. }: &BackendRules| {
        let restore = tools.restore_path().display().to_string();
        let tool = restore.trim_end_matches("-restore");
        Check::no(
            Verdict::Warning,
            NAME,
            format!(
                "chain INPUT of the {} tables, which this proxy does not use, drops what no rule accepts: Services do not get \
                 through",
                tools.backend()
            ),
            format!(
                "{tool} -I INPUT -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT (and the same for KUBE-EXTERNAL-IP, \
                 KUBE-LOAD-BALANCER and node ports), or move these rules to the tables in use"
            ),
        )
    };
    dropping.map(check).collect()
}

/// What `nft -j list ruleset` prints, or why that cannot be had.
fn nft_ruleset() -> Result<Value, String> {
    let listed = printed("nft", &["-j", "list", "ruleset"])?;
    serde_json::from_slice(&listed).map_err(|error| format!("nft -j list ruleset: {error}"))
}

/// The base chains at the input hook that end in a refusal, but for those of iptables-nft, which the daemon's own rules are
/// in.
fn of_nft(ruleset: &Value) -> Vec<Check> {
    let items = ruleset.get("nftables").and_then(Value::as_array);
    let items = || items.into_iter().flatten();
    let chains = items().filter_map(|item| item.get("chain"));
    let text = |value: &Value, key: &str| -> String {
        let text = value.get(key).and_then(Value::as_str).unwrap_or_default();
        text.to_owned()
    };
    let input = chains.filter(|chain| text(chain, "hook") == "input");
    let mut checks = Vec::new();
    for chain in input {
        let [family, table, name] = ["family", "table", "name"].map(|key| text(chain, key));
        let of_iptables =
            name == "INPUT" && table == "filter" && (family == "ip" || family == "ip6");
        if of_iptables || !["ip", "ip6", "inet"].contains(&&*family) {
            continue;
        }
        let of_chain = |rule: &&Value| {
            text(rule, "family") == family
                && text(rule, "table") == table
                && text(rule, "chain") == name
        };
        let last = items().filter_map(|item| item.get("rule")).rfind(of_chain);
        let how = if text(chain, "policy") == "drop" {
            "drops what no rule accepts"
        } else if last.is_some_and(refuses_all) {
            "refuses in its last rule what no rule accepts"
        } else {
            continue;
        };
        let remedy = if table == "firewalld" {
            "firewall-cmd --permanent --add-rich-rule='rule family=ipv4 destination address=CIDR accept' for the cluster's \
             service CIDR and its load balancer addresses, firewall-cmd --permanent --add-port=30000-32767/tcp (and /udp) for \
             node ports, then firewall-cmd --reload"
                .to_owned()
        } else {
            format!(
                "nft insert rule {family} {table} {name} ip daddr CIDR accept, for the cluster's service CIDR and its load \
                 balancer addresses; nft insert rule {family} {table} {name} tcp dport 30000-32767 accept (and udp) for node ports"
            )
        };
        checks.push(Check::no(
            Verdict::Warning,
            NAME,
            format!(
                "chain {name} of nft table {family} {table} {how}: Services do not get through"
            ),
            remedy,
        ));
    }
    checks
}

/// Whether a rule drops or rejects every packet.
fn refuses_all(rule: &Value) -> bool {
    let statements = rule.get("expr").and_then(Value::as_array);
    let mut statements = statements.into_iter().flatten();
    let mut refuses = false;
    let plain = statements.all(|statement| {
        let verdict = statement.get("drop").is_some() || statement.get("reject").is_some();
        refuses |= verdict;
        let harmless = ["counter", "log", "limit"]
            .iter()
            .any(|key| statement.get(key).is_some());
        verdict || harmless
    });
    plain && refuses
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(family: &str, table: &str, name: &str, hook: &str, policy: &str) -> Value {
        json!({"chain": {"family": family, "table": table, "name": name, "type": "filter", "hook": hook, "prio": 0,
                         "policy": policy}})
    }

    fn rule(table: &str, chain: &str, expr: &Value) -> Value {
        json!({"rule": {"family": "inet", "table": table, "chain": chain, "expr": expr}})
    }

    /// In the words of `nft -j list ruleset` of nftables 1.0.6, reduced to what matters.
    #[test]
    fn chains_that_refuse_are_found_and_those_that_do_not_are_not() {
        let accept = json!([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": null}]);
        let some = json!([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth9"}}, {"drop": null}]);
        let ruleset = json!({"nftables": [
            {"metainfo": {"version": "1.0.6"}},
            chain("ip", "filter", "INPUT", "input", "drop"),
            chain("inet", "firewalld", "filter_INPUT", "input", "accept"),
            rule("firewalld", "filter_INPUT", &accept),
            rule("firewalld", "filter_INPUT", &json!([{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}])),
            chain("inet", "mine", "in", "input", "drop"),
            chain("inet", "mine", "out", "output", "drop"),
            chain("inet", "open", "in", "input", "accept"),
            rule("open", "in", &some),
            chain("bridge", "l2", "in", "input", "drop"),
            {"chain": {"family": "inet", "table": "mine", "name": "plain"}},
        ]});
        let checks = of_nft(&ruleset);
        let found: Vec<_> = checks.iter().map(|check| &*check.found).collect();
        assert_eq!(
            found,
            [
                "chain filter_INPUT of nft table inet firewalld refuses in its last rule what no rule accepts: Services do not \
                 get through",
                "chain in of nft table inet mine drops what no rule accepts: Services do not get through",
            ]
        );
        let remedy = |at: usize| checks[at].remedy.as_deref().unwrap();
        assert!(remedy(0).starts_with("firewall-cmd --permanent"));
        assert!(remedy(1).starts_with("nft insert rule inet mine in ip daddr CIDR accept"));
        assert!(checks.iter().all(|check| check.verdict == Verdict::Warning));
        assert_eq!(of_nft(&json!({"nftables": []})), []);
        assert_eq!(of_nft(&json!("nothing")), []);
    }
}
