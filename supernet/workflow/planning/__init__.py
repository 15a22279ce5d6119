"""How a training is chosen for images, a device and a time; put together in `workflow.plan`."""
