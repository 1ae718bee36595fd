//! Label and field selectors.

use serde_json::Value;

/// What a request selects by.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Term>,
    fields: Vec<Term>,
}

/// One condition of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Has(String),
    HasNot(String),
    Is(String, String),
    IsNot(String, String),
}

impl Selector {
    /// The selectors as a request has them; what cannot be understood is returned, to be refused.
    pub(super) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, String> {
        let parse = |text: Option<&str>| -> Result<Vec<Term>, String> {
            let terms = text.unwrap_or_default().split(',').map(str::trim);
            terms.filter(|term| !term.is_empty()).map(term).collect()
        };
        let fields = parse(fields)?;
        for field in &fields {
            match field {
                Term::Is(name, _) | Term::IsNot(name, _)
                    if name.starts_with("metadata.name") || name == "spec.clusterIP" => {}
                other => return Err(format!("field selector {other:?} is not supported")),
            }
        }
        Ok(Self {
            labels: parse(labels)?,
            fields,
        })
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key);
        let field = |path: &str| object.pointer(&format!("/{}", path.replace('.', "/")));
        self.labels.iter().all(|term| term.holds(label))
            && self.fields.iter().all(|term| term.holds(field))
    }
}

fn term(text: &str) -> Result<Term, String> {
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Term::IsNot(key.into(), value.into()));
    }
    if let Some((key, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        return Ok(Term::Is(key.into(), value.into()));
    }
    if text.contains([' ', '(', ')']) {
        return Err(format!("selector {text:?} is not supported"));
    }
    Ok(match text.strip_prefix('!') {
        Some(key) => Term::HasNot(key.into()),
        None => Term::Has(text.into()),
    })
}

impl Term {
    fn holds<'a>(&self, get: impl Fn(&str) -> Option<&'a Value>) -> bool {
        match self {
            Self::Has(key) => get(key).is_some(),
            Self::HasNot(key) => get(key).is_none(),
            Self::Is(key, value) => get(key).and_then(Value::as_str) == Some(value),
            Self::IsNot(key, value) => get(key).and_then(Value::as_str) != Some(value),
        }
    }
}

#[test]
fn selectors_are_evaluated() {
    let object = serde_json::json!({"metadata": {"name": "a", "labels": {"x/y": "1"}}});
    for (labels, fields, holds) in [
        (None, None, true),
        (Some("x/y"), None, true),
        (Some("!x/y"), None, false),
        (Some("!z,x/y=1"), Some("metadata.name=a"), true),
        (Some("x/y!=1"), None, false),
        (None, Some("metadata.name=b"), false),
    ] {
        let selector = Selector::parse(labels, fields).unwrap();
        assert_eq!(selector.matches(&object), holds, "{labels:?} {fields:?}");
    }
    assert!(Selector::parse(None, Some("spec.x=1")).is_err());
    assert!(Selector::parse(Some("a in (b)"), None).is_err());
}
