import { describeScenario } from '../support/scenario.js';

describeScenario('cloudtik', 29);
