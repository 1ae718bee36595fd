//! Deliberate differences of the classic layout's sets.

/// Sets without that of health check ports, which must be there: the reference of that time let a policy of INPUT refuse
/// health checks. Its members are ports.
pub(crate) fn without_health_checks(lines: &[String]) -> Vec<String> {
    let is_own = |line: &str| {
        let rest = line.split_once("KUBE-").map_or("", |(_, rest)| rest);
        let rest = rest.strip_prefix("6-").unwrap_or(rest);
        rest.starts_with("HEALTH-CHECK-NODE-PORT ")
    };
    let (own, rest): (Vec<_>, Vec<_>) = lines.iter().cloned().partition(|line| is_own(line));
    assert!(
        own.iter()
            .any(|line| line.starts_with("create KUBE-HEALTH")),
        "{lines:#?}"
    );
    for line in own.iter().filter(|line| line.starts_with("add ")) {
        let port = line
            .rsplit(' ')
            .next()
            .and_then(|port| port.parse::<u16>().ok());
        assert!(port.is_some_and(|port| port >= 30_000), "{line}");
    }
    rest
}
