"""What browsers are given: `static/tidewire.js` is the client for pages."""
