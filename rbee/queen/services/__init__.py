"""What goes on over time: tasks, hives, holds, the queue."""
