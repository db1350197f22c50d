//! The page: a template, its style and its script, and the chart between them.

use super::Chart;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPTS: [&str; 4] = [include_str!("model.js"), include_str!("draw.js"), include_str!("panel.js"), include_str!("hand.js")];

/// One page that shows `chart` in any browser, from a file, without a network.
///
/// # Panics
/// Never: a chart is made of encodable parts.
pub fn page(chart: &Chart) -> String {
    let data = serde_json::to_string(chart).unwrap_or_else(|e| unreachable!("a chart is made of encodable parts: {e}"));
    // Within a script element only `<` can mean anything to the browser (`</script>`, `<!--`), and in JSON it stands only in strings.
    let data = data.replace('<', "\\u003c");
    let title = format!("{} seed {}", chart.run.scenario, chart.run.seed);
    // The data last: what it says is never taken for a place to fill.
    TEMPLATE
        .replace("{{title}}", &escaped(&title))
        .replace("{{style}}", STYLE)
        .replace("{{script}}", &SCRIPTS.join("\n"))
        .replacen("{{data}}", &data, 1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
