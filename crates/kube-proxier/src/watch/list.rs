//! A list, page by page.

use std::collections::BTreeSet;

use kube::api::ListParams;
use kube::core::Request;

use super::super::Event;
use super::error::WatchError;
use super::follow::Follower;
use super::protocol::Page;

impl Follower {
    /// Everything there is. Nothing is changed by a list that does not come to its end.
    pub(super) async fn list(&mut self) -> Result<Vec<Event>, WatchError> {
        self.intake.begin_list();
        let request = Request::new(self.kind.path());
        let mut params = ListParams {
            label_selector: self.kind.label_selector(),
            field_selector: self.kind.field_selector(),
            limit: Some(self.timing.page),
            ..ListParams::default()
        };
        let limits = self.timing.limits;
        let too_many = |limit, unit| WatchError::TooLarge { limit, unit };
        let mut objects = 0;
        let mut tokens = BTreeSet::new();
        for _ in 0..limits.pages {
            let request = request.list(&params).map_err(kube::Error::BuildRequest)?;
            let text = self
                .within(self.client.body(request, limits.page_bytes))
                .await?;
            let page = Page::parse(&text, &self.kind)?;
            objects += page.items.len();
            if objects > limits.objects {
                return Err(too_many(limits.objects, "objects"));
            }
            for item in page.items {
                // What is JSON as a whole is so in its parts.
                let item = serde_json::from_str(item.get()).unwrap_or_default();
                self.intake.list_item(item);
            }
            let Some(next) = page.next else {
                self.version = Some(page.version);
                self.counters.count_list();
                return Ok(self.intake.end_list());
            };
            if !tokens.insert(next.clone()) {
                return Err(WatchError::RepeatedToken);
            }
            params.continue_token = Some(next);
        }
        Err(too_many(limits.pages, "pages"))
    }
}
