//! HTML in which nothing is written but what this program says and escaped text.

use std::fmt::{self, Display, Write};

use proxier_manifest::printable_within;

/// How much is shown of one text, in bytes.
const SHOWN: usize = 1024;

/// A document as it is written.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of this program's own.
    pub(super) fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Any text: nothing in it is markup.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        let text = text.to_string();
        // Writing to a String does not fail.
        let _ = write!(self.0, "{}", Escaped(&printable_within(&text, SHOWN, &[])));
        self
    }

    /// A link to a page of this server's, with a query of these fields.
    pub(super) fn link(&mut self, query: &[(&str, &str)], text: impl Display) -> &mut Self {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            fields.append_pair(name, value);
        }
        let query = fields.finish();
        let _ = write!(self.0, "<a href=\"/?{}\">", Escaped(&query));
        self.text(text).markup("</a>")
    }

    /// The value of an attribute, which is in quotes.
    pub(super) fn value(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.0, "{}", Escaped(text));
        self
    }

    /// The head of a table.
    pub(super) fn head(&mut self, columns: &[&'static str]) -> &mut Self {
        self.markup("<table><thead><tr>");
        for column in columns {
            self.markup("<th>").markup(column).markup("</th>");
        }
        self.markup("</tr></thead><tbody>\n")
    }

    /// The end of a table.
    pub(super) fn end(&mut self) -> &mut Self {
        self.markup("</tbody></table>\n")
    }

    /// A row of texts.
    pub(super) fn row(&mut self, cells: &[&dyn Display]) -> &mut Self {
        self.markup("<tr>");
        for cell in cells {
            self.markup("<td>").text(cell).markup("</td>");
        }
        self.markup("</tr>\n")
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Text with what HTML could take for markup as references to characters.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        let mut html = Html::default();
        let hostile = "<script>\"'&\n\u{202e}";
        html.text(hostile).markup("\n<p title=\"").value(hostile);
        html.markup("\">\n")
            .link(&[("q", hostile), ("none", "")], hostile);
        assert_eq!(
            html.finish(),
            "&lt;script&gt;&quot;&#39;&amp;\\n\\u{202e}\n\
             <p title=\"&lt;script&gt;&quot;&#39;&amp;\n\u{202e}\">\n\
             <a href=\"/?q=%3Cscript%3E%22%27%26%0A%E2%80%AE\">&lt;script&gt;&quot;&#39;&amp;\\n\\u{202e}</a>"
        );
    }
}
