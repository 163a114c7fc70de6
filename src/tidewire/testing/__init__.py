"""For the tests of applications that use Tidewire.

- `server`: a whole server in this process, whose time moves only when told to, with faults as switches; the
  pytest plugin has it as the fixture `tidewire_server`.
- `races`: whether an action's events and a registration at any moment of it lead to the state that there is.
- `rules`: puts a merge rule to the proof.

They are imported by their names, since some need more than others.
"""
