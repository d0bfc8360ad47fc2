"""Power, performance, area: a design becomes figures of a standard-cell library."""
