"""Traffic for a demo cluster: producers and consumers in a process of their own, told what to do
by lines of JSON."""
